"""Subscribers: how they come, what they may change, and how they leave."""

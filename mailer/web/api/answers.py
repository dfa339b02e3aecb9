"""How the API says no: a word for programs, a sentence for people, never anything of what was sent."""

from fastapi.responses import JSONResponse

NO_STORE = {"Cache-Control": "no-store"}


def refusal(status: int, word: str, sentence: str, at: str | None = None) -> JSONResponse:
    """`{"error": {"code", "message", "field"}}` with the status."""
    told = {"code": word, "message": sentence, **({"field": at} if at else {})}
    headers = {**NO_STORE, **({"WWW-Authenticate": "Bearer"} if status == 401 else {})}
    return JSONResponse({"error": told}, status_code=status, headers=headers)

"""The plain text twin of Markdown: the same words and links, made from the same syntax tree.

Never made from HTML: such tools print what is hidden and drop where links lead. Headings are
underlined, links become numbered notes at the end, a table becomes one line a cell. Lines are
folded at 72 columns, but not in a right-to-left script; slots are never cut.
"""

from markdown_it.tree import SyntaxTreeNode

from mailer.messages import lines

_RULE = "* * *"
_FIRST_LEVEL = "h2"


def text_twin(tree: SyntaxTreeNode, *, right_to_left: bool) -> str:
    """The tree as text, without a line end at its end. `right_to_left`: nothing is folded at all."""
    twin = _Twin(right_to_left=right_to_left)
    blocks = twin.blocks(tree.children, 0)
    notes = [f"[{number}] {url}" for url, number in twin.notes.items()]
    return "\n".join([*blocks, "", *notes] if notes else blocks)


class _Twin:
    """One walk over a tree. `indent` is how many columns of every line its containers will take."""

    def __init__(self, *, right_to_left: bool) -> None:
        self._right_to_left = right_to_left
        self.notes: dict[str, int] = {}

    def blocks(self, nodes: list[SyntaxTreeNode], indent: int, *, tight: bool = False) -> list[str]:
        """The lines of the blocks, parted by blank lines unless `tight`."""
        result: list[str] = []
        for node in nodes:
            block = self._block(node, indent)
            if block and result and not tight:
                result.append("")
            result += block
        return result

    def _block(self, node: SyntaxTreeNode, indent: int) -> list[str]:
        block: list[str]
        match node.type:
            case "heading":
                block = self._folded(self._words(node), indent)
                if block:
                    block.append(lines.underline(max(block, key=lines.columns), _mark(node)))
            case "bullet_list" | "ordered_list":
                block = self._list(node, indent)
            case "blockquote":
                block = [f"> {line}".rstrip() for line in self.blocks(node.children, indent + 2)]
            case "code_block" | "fence":
                block = [f"    {line}".rstrip() for line in node.content.rstrip("\n").split("\n")]
            case "hr":
                block = [_RULE]
            case "table":
                block = self._table(node, indent)
            case _:
                block = self._folded(self._words(node), indent)
        return block

    def _list(self, node: SyntaxTreeNode, indent: int) -> list[str]:
        number = int(node.attrs.get("start", 1))
        blocks = [block for item in node.children for block in item.children]
        tight = all(block.hidden for block in blocks if block.type == "paragraph")
        result: list[str] = []
        for position, item in enumerate(node.children):
            bullet = f"{number + position}. " if node.type == "ordered_list" else "- "
            block = self.blocks(item.children, indent + len(bullet), tight=tight) or [""]
            if result and not tight:
                result.append("")
            result.append(f"{bullet}{block[0]}".rstrip())
            result += [f"{' ' * len(bullet)}{line}".rstrip() for line in block[1:]]
        return result

    def _table(self, node: SyntaxTreeNode, indent: int) -> list[str]:
        """Each row as lines of 'Heading: cell', with a blank line between rows; empty cells are left out."""
        caption = [child for child in node.children if child.type == "caption"]
        head, *bodies = node.children[len(caption) :]
        keys = [self._words(cell) for cell in head.children[0].children]
        rows = [row.children for body in bodies for row in body.children]
        if not rows:
            return [line for key in keys for line in self._folded(key, indent)]
        result = [line for title in caption for line in self._folded(self._words(title), indent)]
        for row in rows:
            cells = zip(keys, (self._words(cell) for cell in row), strict=False)
            entry = [f"{key}: {cell}" if key else cell for key, cell in cells if cell]
            if entry and result:
                result.append("")
            result += [line for cell in entry for line in self._folded(cell, indent)]
        return result

    def _folded(self, words: str, indent: int) -> list[str]:
        if not words:
            return []
        if self._right_to_left:
            return words.split("\n")
        # Indented while it is folded, so that the containers' bullets and marks fit in afterwards.
        margin = " " * indent
        folded = lines.fold("\n".join(margin + line for line in words.split("\n")))
        return [line[indent:] for line in folded.split("\n")]

    def _words(self, node: SyntaxTreeNode) -> str:
        return "".join(map(self._inline, node.children)).strip()

    def _inline(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text" | "code_inline":
                return node.content
            case "softbreak":
                return "" if _between_wide(node) else " "
            case "hardbreak":
                return "\n"
            case "link":
                return self._link(node)
            case _:
                return "".join(map(self._inline, node.children))

    def _link(self, node: SyntaxTreeNode) -> str:
        url = str(node.attrs["href"])
        words = self._words(node)
        if words in (url, url.removeprefix("mailto:")):
            return words
        number = self.notes.setdefault(url, len(self.notes) + 1)
        return f"{words} [{number}]".lstrip()


def _mark(heading: SyntaxTreeNode) -> str:
    return "=" if heading.tag == _FIRST_LEVEL else "-"


def _between_wide(line_end: SyntaxTreeNode) -> bool:
    """Whether a line ends between two Chinese or Japanese characters, where a space would be wrong."""
    before, after = line_end.previous_sibling, line_end.next_sibling
    if before is None or after is None or before.type != "text" or after.type != "text":
        return False
    return lines.columns(before.content[-1:]) > 1 and lines.columns(after.content[:1]) > 1

"""Text from outside as part of a line of ours: it cannot control a terminal, nor begin a line of its own."""


def escaped(text: str) -> str:
    """The text with all control, format and surrogate characters escaped."""
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def one_line(text: str) -> str:
    """The text with a space for each run of spaces, control, format and surrogate characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

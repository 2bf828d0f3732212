"""What a terminal shows of what is written to it."""


def screen(written: str) -> list[str]:
    """Its lines: a return goes to a line's beginning, and text covers what is there."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        covered = ""
        for part in line.split("\r"):
            covered = part + covered[len(part) :]
        lines.append(covered.rstrip())
    return lines

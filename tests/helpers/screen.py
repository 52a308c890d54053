"""A small terminal: what a person sees after a program has written to it."""

import re
import unicodedata

# A control sequence, a control character, or printable characters.
PART = re.compile(r"\x1b\[(\??)(\d*)([A-Za-z])|([\r\n\b\a])|([^\x1b\r\n\b\a]+)")


class Screen:
    """The rows of a terminal that never scrolls. It knows the sequences of the interactive mode.

    Args:
        columns: The number of columns.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._rows = [[" "] * columns]
        self._row = self._column = 0

    def write(self, output: str) -> None:
        """Show output. An unknown sequence is an error."""
        position = 0
        while position < len(output):
            part = PART.match(output, position)
            assert part, output[position : position + 20]
            position = part.end()
            private, number, letter, control, text = part.groups()
            if letter and not private:
                self._move(letter, int(number or (0 if letter in "JKm" else 1)))
            elif control:
                self._control(control)
            for symbol in text or "":
                self._put(symbol)

    def text(self) -> list[str]:
        """Return the rows without their trailing spaces."""
        return ["".join(row).rstrip() for row in self._rows]

    def _put(self, symbol: str) -> None:
        # A wide character takes a second cell, which adds nothing to the text of its row.
        cells = [symbol, ""] if unicodedata.east_asian_width(symbol) == "W" else [symbol]
        if self._column + len(cells) > self.columns:
            self._control("\r")
            self._control("\n")
        self._rows[self._row][self._column : self._column + len(cells)] = cells
        self._column += len(cells)

    def _control(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\b":
            self._column -= 1
        elif control == "\n":
            self._row += 1
            if self._row == len(self._rows):
                self._rows.append([" "] * self.columns)

    def _move(self, letter: str, number: int) -> None:
        if letter == "A":
            assert number <= self._row
            self._row -= number
        elif letter == "C":
            self._column += number
        elif letter == "K":
            self._clear_row()
        elif letter == "J":
            self._clear_row()
            del self._rows[self._row + 1 :]
        elif letter == "P":
            row = self._rows[self._row]
            row[self._column :] = [*row[self._column + number :], *[" "] * number]
        else:
            assert letter == "m", letter

    def _clear_row(self) -> None:
        row = self._rows[self._row]
        row[self._column :] = [" "] * (self.columns - self._column)

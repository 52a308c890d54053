"""Minimization of deterministic automata.

The minimal automaton of a set of texts is unique. With its states in breadth-first order, a table depends
only on the texts that match and on the vocabulary. It does not depend on how an expression is written, or on
how this version compiles it.
"""

from collections.abc import Collection, Hashable, Sequence
from typing import TypeAlias

# The group of the state after each letter.
Signature: TypeAlias = tuple[int, ...]


def equal_states(targets: Sequence[Sequence[int]], labels: Sequence[Hashable]) -> list[int]:
    """Return a number for each state. States from which the same texts match have the same number.

    States are split into groups until the states of each group lead to the same groups. Only states with a
    target that moved to another group are compared again, and the largest part of a group does not move.
    Therefore a state moves at most log2(states) times, as in Hopcroft, "An n log n algorithm for minimizing
    states in a finite automaton" (1971).

    Args:
        targets: [states][letters]: the state after each letter that is possible. States with the same label
            have the same letters.
        labels: [states]: states with different labels are not equal.
    """
    sources: list[list[int]] = [[] for _ in targets]
    for state, row in enumerate(targets):
        for target in set(row):
            sources[target].append(state)
    groups = _Groups(targets, labels)
    pending: Collection[int] = range(len(targets))
    while pending:
        by_group: dict[int, list[int]] = {}
        for state in pending:
            by_group.setdefault(groups.of[state], []).append(state)
        pending = set()
        for group, compared in by_group.items():
            for state in groups.split(group, compared):
                pending.update(sources[state])
    return groups.of


class _Groups:
    """A partition of the states.

    Attributes:
        of: The group of each state.
    """

    def __init__(self, targets: Sequence[Sequence[int]], labels: Sequence[Hashable]) -> None:
        numbers: dict[Hashable, int] = {}
        self.of = [numbers.setdefault(label, len(numbers)) for label in labels]
        self._targets = targets
        self._members: list[set[int]] = [set() for _ in numbers]
        for state, group in enumerate(self.of):
            self._members[group].add(state)
        # Those of the latest comparison. They are correct for all states that need no new comparison.
        self._signatures: list[Signature] = [()] * len(numbers)

    def split(self, group: int, compared: Sequence[int]) -> list[int]:
        """Split a group by the signatures of its states.

        Args:
            group: The group.
            compared: The states of the group whose signatures may have changed.

        Returns:
            The states that moved to a new group.
        """
        parts: dict[Signature, set[int]] = {}
        for state in compared:
            signature = tuple(map(self.of.__getitem__, self._targets[state]))
            parts.setdefault(signature, set()).add(state)
        unchanged = len(self._members[group]) - len(compared)
        stays = self._signatures[group]
        if unchanged + len(parts.get(stays, ())) < max(map(len, parts.values())):
            if unchanged:
                rest = self._members[group].difference(compared)
                parts[stays] = parts.get(stays, set()) | rest
            stays = max(parts, key=lambda signature: len(parts[signature]))
            self._signatures[group], self._members[group] = stays, parts.pop(stays)
        else:
            parts.pop(stays, None)
            self._members[group].difference_update(*parts.values())
        for signature, states in parts.items():
            for state in states:
                self.of[state] = len(self._members)
            self._members.append(states)
            self._signatures.append(signature)
        return [state for states in parts.values() for state in states]

"""Compile constraints: regular expressions, choices and JSON schemas become tables over a vocabulary.

A constraint is a deterministic automaton whose letters are the tokens of a vocabulary. ``regex`` compiles
expressions and ``choices`` compiles lists of texts. ``schema`` translates a JSON schema to an expression
and compiles that.

An expression passes through four modules. ``_parser`` reads it. ``_positions`` builds an automaton of its
characters. ``_character_states`` makes the automaton deterministic. ``_token_table`` turns it into a table
over tokens. The modules limit their work, so that every expression compiles or fails in about a second.
"""

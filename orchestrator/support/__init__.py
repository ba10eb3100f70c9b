"""Whether a claim is carried by what it quotes.

gate.py           the gate: of verified claims those that their quotes carry
score.py          signals, one score, and what contradicts by name
evidence.py       which few sentences carry a claim together
values.py         the quantities and dates of a text, in one form; units.py their units
names.py          the names of a text
polarity.py       what a text denies
entailment.py     the port of an optional model that judges entailment
"""

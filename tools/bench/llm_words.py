"""Prompts of an exact length: words that are one token each in the vocabularies of the models that
are measured. Seeded, so that every server and every run is asked the same. Pure."""

import random

WORDS = """
time year people way day man thing woman life child world school state family student group country
problem hand part place case week company system program question work government number night
point home water room mother area money story fact month lot right study book eye job word business
issue side kind head house service friend father power hour game line end member law car city
community name president team minute idea body information back parent face others level office
door health person art war history party result change morning reason research girl guy moment air
teacher force education small large next early young important few public bad same able last long
great little own old high different local social national political human late hard major better
economic strong possible whole free military true federal international full special easy clear
recent certain personal open red difficult available likely short single medical current wrong
private past foreign fine common poor natural significant similar hot dead central happy serious
ready simple left physical general environmental financial blue dark various entire close legal
religious cold final main green nice huge popular traditional cultural
""".split()
# Real sentences, for answers that mean something.
QUESTIONS = (
    "The capital of France is",
    "Water boils at a temperature of",
    "A good recipe for bread begins with",
    "The three primary colours are",
    "In the morning, the old man walked to the harbour and",
    "To sort a list of numbers in Python, one can",
    "The largest planet of the solar system is",
    "My favourite season is autumn, because",
    "The difference between a cat and a dog is",
    "Once upon a time there was a small bakery where",
)


def words(count: int, seed: str) -> str:
    """`count` words, and as many tokens: other words for another seed, from the first on."""
    return " " + " ".join(random.Random(seed).choices(WORDS, k=count))


def chat(system: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]

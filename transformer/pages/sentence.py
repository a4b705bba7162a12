"""PLACEHOLDER until the page branch arrives."""


def page(explanations, comparison):
    return ""

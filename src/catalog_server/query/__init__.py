"""The query language of list requests: filterQuery and page tokens. Pure: text and values in, values out.

    lexer → parser → nodes          text to syntax tree, knows no field
    fields → checker                syntax tree to condition tree, knows names and types
    predicate                       what a condition means, on plain Python values
    tokens                          opaque page tokens, independent of the rest

Turning a condition tree into SQL is not done here; `predicate` is the meaning that such SQL has to reproduce.
"""

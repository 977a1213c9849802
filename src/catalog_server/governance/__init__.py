"""Governance of assets: who answers for them, which state of life they are in, and who has to approve of a change.

An asset is named by plugin, kind and name, whether a catalog has it at present or not (spec platform.md 9).
"""

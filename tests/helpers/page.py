"""What a report must not do: load or link to anything outside itself."""

from __future__ import annotations

import re


def assert_self_contained(page: str) -> None:
    """No script, no source, no link but to places in the page and to images within it."""
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"<script|<iframe|<link\b|\bsrc\s*=|@import|url\(\s*['\"]?(?!#)", page)
    assert all(target.startswith(("#", "data:image/")) for target in re.findall(r'\bhref="([^"]*)"', page))
    # Addresses may only name an XML vocabulary: namespaces and the metadata's types.
    without_names = re.sub(r'\b(?:xmlns(?::\w+)?|rdf:(?:resource|about))="[^"]*"', "", page)
    assert not re.search(r'="\s*https?://', without_names)

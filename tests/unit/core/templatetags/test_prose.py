import pytest

from core.templatetags.prose import prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("One.\nTwo.\n\nThree.", "<p>One.<br>Two.</p><p>Three.</p>"),
        ("For:\n- tea\n- *coffee\n", "<p>For:</p><ul><li>tea</li><li>*coffee</li></ul>"),
        ("## Limits\r\nNone.", "<h3>Limits</h3><p>None.</p>"),
        ("**Mind** the `gap`", "<p><strong>Mind</strong> the <code>gap</code></p>"),
        ("<b>&", "<p>&lt;b&gt;&amp;</p>"),
        ("`<script>` **<img>**", "<p><code>&lt;script&gt;</code> <strong>&lt;img&gt;</strong></p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("![x](http://y) <http://z>", "<p>![x](http://y) &lt;http://z&gt;</p>"),
        ("1. tea\n2. *milk*", "<ol><li>tea</li><li><em>milk</em></li></ol>"),
    ],
)
def test_prose(text: str, shown: str) -> None:
    assert prose(text).replace("\n", "") == shown


def test_prose_of_any_length_is_shown() -> None:
    assert prose("- a\nb\n" * 2000).count("<li>") == 2000

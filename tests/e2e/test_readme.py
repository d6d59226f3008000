"""README's ten lines of SQL, as printed: after the grant, an ordinary role calls them."""

import re

from support.harness import CHECKOUT, DATABASE


def test_ten_lines(make_cluster):
    server = make_cluster()
    server.fresh_database(DATABASE, migrate=False)
    block = re.search(r"```sql\n(.*?)```", (CHECKOUT / "README.md").read_text("utf-8"), re.DOTALL).group(1)
    last = "SELECT current_setting('is_superuser');"
    done = server.psql(block + last, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert [line for line in shown if line.startswith("ya29…|1//…|")], shown
    assert "ya29…" in shown  # of oauth_access_token
    assert shown[-2:] == ["t", "off"]  # deleted, so that nothing is connected

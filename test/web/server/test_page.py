"""The page as a browser sees it."""

from urllib.parse import urlsplit

from dashboard_harness import Dashboard


def test_it_loads_without_errors_and_from_here_alone(watch, tmp_path):
    with Dashboard(tmp_path / 'log') as dashboard:
        browser = watch()
        page = browser.open(dashboard.url)
        page.get_by_role('tab', name='Video').click()
        page.get_by_role('tab', name='Video', selected=True).wait_for()
        page.get_by_role('tab', name='Live').click()
        page.get_by_role('tab', name='Live', selected=True).wait_for()
        hosts = {urlsplit(url).netloc for url in browser.requests if not url.startswith(('data:', 'blob:'))}
        assert hosts == {urlsplit(dashboard.url).netloc}
        assert browser.errors == []
        assert dashboard.end() == 0
    assert 'Traceback' not in dashboard.log

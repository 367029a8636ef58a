"""Who is let in, as a browser sees it."""

import http.server
import threading
from urllib.parse import urlsplit

import pytest
from dashboard_harness import Dashboard

TOKEN = 'a token for the test'
FOREIGN = '''<script>
const target = location.hash.slice(1);
const tries = {
  read: () => fetch(target + '/live/state').then((answer) => answer.text()),
  picture: () => new Promise((good, bad) => Object.assign(new Image(), {
    onload: good, onerror: bad, src: target + '/live/frame' })),
  poll: () => fetch(target + '/_nicegui_ws/socket.io/?EIO=4&transport=polling').then((answer) => answer.text()),
  socket: () => new Promise((good, bad) => Object.assign(
    new WebSocket(target.replace('http', 'ws') + '/_nicegui_ws/socket.io/?EIO=4&transport=websocket'), {
    onopen: good, onerror: bad })),
  frame: () => new Promise((good, bad) => {
    const frame = Object.assign(document.createElement('iframe'), { src: target, onload: () => {
      try { frame.contentDocument.body.innerText.includes('Live') ? good() : bad('empty') } catch (e) { bad(e) } } });
    document.body.append(frame);
  }),
};
window.attack = async () => {
  const done = {};
  for (const [name, attempt] of Object.entries(tries)) done[name] = await attempt().then(() => true, () => false);
  return done;
};
</script>'''


@pytest.fixture(scope='module')
def dashboard(tmp_path_factory):
    folder = tmp_path_factory.mktemp('token')
    with Dashboard(folder / 'log', '-p', f'access_token:="{TOKEN}"') as program:
        yield program
        assert program.end() == 0
    assert TOKEN not in program.log and 'Traceback' not in program.log


@pytest.fixture
def foreign():
    """The address of a page of someone else, at another origin."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Type', 'text/html')
            self.end_headers()
            self.wfile.write(f'<!doctype html><link rel=icon href="data:,"><body>{FOREIGN}'.encode())

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://localhost:{server.server_address[1]}/'
        server.shutdown()


def test_the_token_opens_the_page_and_another_does_not(dashboard, watch):
    browser = watch()
    page = browser.context.new_page()
    page.goto(dashboard.url)
    field = page.get_by_label('Access token')
    field.fill('a wrong token')
    page.keyboard.press('Enter')
    page.get_by_role('alert').wait_for()
    assert page.get_by_role('alert').inner_text() == 'This is not the access token.'
    page.get_by_label('Access token').fill(TOKEN)
    page.get_by_role('button', name='Open').click()
    page.get_by_role('tab', name='Live').wait_for()
    page.wait_for_function('window.socket?.connected')
    assert page.url == f'{dashboard.url}/'
    assert page.evaluate('document.cookie') == '', 'scripts cannot read it'
    cookie, = browser.context.cookies()
    assert cookie['httpOnly'] and cookie['sameSite'] == 'Strict'
    assert page.evaluate('localStorage.length') == 0


def test_a_link_with_the_token_opens_the_page_and_leaves_the_address_without_it(dashboard, watch):
    page = watch().context.new_page()
    page.goto(f'{dashboard.url}/?token={TOKEN}')
    page.get_by_role('tab', name='Live').wait_for()
    page.wait_for_function('window.socket?.connected')
    assert page.url == f'{dashboard.url}/'
    assert page.evaluate('document.referrer') == ''
    assert page.evaluate("performance.getEntries().filter((e) => e.name.includes('token=')).length") == 0


def test_a_page_of_someone_else_reaches_nothing_though_the_browser_is_let_in(dashboard, foreign, watch):
    browser = watch()
    page = browser.context.new_page()
    page.goto(f'{dashboard.url}/?token={TOKEN}')
    page.get_by_role('tab', name='Live').wait_for()
    other = browser.context.new_page()
    other.goto(f'{foreign}#{dashboard.url}')
    assert other.evaluate('window.attack()') == dict.fromkeys(
        ('read', 'picture', 'poll', 'socket', 'frame'), False)
    own = page.evaluate('''async () => (await fetch('/live/state')).status''')
    assert own == 200


def test_a_name_that_was_made_to_lead_here_is_refused(dashboard, watch):
    port = urlsplit(dashboard.url).port
    page = watch().context.new_page()
    response = page.request.get(dashboard.url, headers={'Host': f'rebound.example:{port}'})
    assert response.status == 421


def test_without_visitor_camera_there_is_nothing_of_it(dashboard, watch):
    page = watch().context.new_page()
    policy = page.goto(f'{dashboard.url}/?token={TOKEN}').headers['permissions-policy']
    assert policy.startswith('camera=(),')
    page.get_by_role('button', name='Record').wait_for()
    assert page.get_by_test_id('visitor').count() == 0
    for path in ('start', 'frame', 'stop'):
        assert page.request.post(f'{dashboard.url}/visitor/{path}', headers={'Origin': dashboard.url}).status == 404

"""No decision is lost and none is saved twice, whatever happens to the server and the page."""

import re

import pytest

LABELS = {'m': 'mitotic', 'n': 'look_alike', 'u': 'unsure'}
UUID4 = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}')
DECISIONS = '**/api/decisions'
SERVER_AWAY = re.compile('Failed to load resource')


def labels(server, rater):
    return {entry.item_id: entry.label for entry in server.log(rater.name) if entry.action == 'decide'}


def waiting(rater):
    return rater.page.evaluate("Object.keys(localStorage).filter((key) => key.includes(':waiting:')).length")


@pytest.fixture(scope='module')
def mortal(serve):
    """A server for those who kill it."""
    return serve(raters=8)


@pytest.fixture
def patient(mortal, visit):
    """A rater whose browser is not blamed for a server that is away."""
    rater = visit(mortal).open()
    rater.tolerated = SERVER_AWAY
    return rater


def test_a_killed_server_loses_nothing(mortal, patient):
    made = {}
    patient.look()
    for key in 'mn':
        made[patient.decide(key)] = LABELS[key]
    patient.wait_for_neighbours()
    made[patient.decide('u')] = LABELS['u']
    mortal.kill()  # while the last one may be on its way
    for key in 'nm':
        made[patient.decide(key)] = LABELS[key]
    patient.wait_for_text('.banner', r'\d decisions not saved yet')
    mortal.start()
    patient.wait_for_text('.banner', 'The server was restarted: open the new address')
    patient.page.goto(mortal.addresses[patient.name])
    patient.wait_until_saved(5)
    assert labels(mortal, patient) == made
    assert len(mortal.log(patient.name)) == 5
    assert not patient.page.locator('.banner').first.is_visible()


def test_killed_between_keys_and_during_requests_again_and_again(mortal, patient):
    made = []
    for keys in ('mm', 'nun'):
        patient.look()  # at the first open one
        for key in keys:
            made.append((patient.decide(key), LABELS[key]))
        mortal.kill()
        mortal.start()
        patient.page.goto(mortal.addresses[patient.name])
        patient.wait_until_saved(len(made))
    assert [(entry.item_id, entry.label) for entry in mortal.log(patient.name)] == made


def test_an_undo_waits_with_the_others(mortal, patient):
    first = patient.look().decide('m')
    patient.wait_until_saved(1).wait_for_neighbours()
    mortal.kill()
    second = patient.decide('n')
    patient.wait_for_crop().press('z')
    patient.wait_for_crop()
    assert patient.item == second
    patient.press('z').wait_for_crop()
    assert patient.item == first
    patient.decide('u')
    mortal.start()
    patient.page.goto(mortal.addresses[patient.name])
    patient.wait_until_saved(1)
    log = mortal.log(patient.name)
    assert [(entry.action, entry.item_id) for entry in log] == [
        ('decide', first), ('decide', second), ('undo', second), ('undo', first), ('decide', first),
    ]  # fmt: skip
    assert mortal.states(patient.name) == {first: 'unsure'}


def test_the_new_address_in_another_tab_brings_the_old_one_back(mortal, patient, visit):
    patient.look().decide('n')
    patient.wait_until_saved(1).wait_for_neighbours()
    mortal.kill()
    patient.decide('m')
    mortal.start()
    patient.wait_for_text('.banner', '1 decision not saved yet. The server was restarted')
    visit(mortal, patient.name, context=patient.context).open()
    patient.wait_until_saved(2)
    assert len(mortal.log(patient.name)) == 2
    assert patient.page.locator('.banner').first.is_hidden()


def test_a_lost_answer_is_asked_for_again(server, rater):
    rater.tolerated = SERVER_AWAY
    lost = []

    def lose_once(route):
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)  # the server has decided, and the browser never hears of it
            route.abort()

    rater.page.route(DECISIONS, lose_once)
    rater.look().decide('m')
    rater.wait_until_saved(1)
    assert lost == [201]
    assert len(server.log(rater.name)) == 1


def test_it_counts_as_done_when_the_server_has_answered_and_not_before(server, rater):
    held = []
    rater.page.route(DECISIONS, lambda route: held.append(route))
    rater.look(1).decide('m')
    rater.wait_for_crop()
    assert rater.text('#confirmation') == 'Sample 1: mitotic figure, saving…'
    assert rater.text('#progress-text').startswith('0 of 24')
    rater.wait_for_text('.banner', '1 decision not saved yet')
    rater.press('g')
    assert rater.tile_states()[1] == 'not saved yet'
    held[0].continue_()
    rater.wait_until_saved(1)
    assert rater.tile_states()[1] == 'mitotic figure'
    assert rater.page.locator('.banner').first.is_hidden()


def test_a_busy_database_is_tried_again(server, rater):
    rater.tolerated = SERVER_AWAY
    answers = iter([503, 503])

    def busy(route):
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status, json={'error': 'the disk is full'})

    rater.page.route(DECISIONS, busy)
    rater.look().decide('u')
    rater.wait_for_text('.banner', '1 decision not saved yet: the disk is full')
    rater.page.locator('.banner button').click()
    rater.wait_until_saved(1)
    assert len(server.log(rater.name)) == 1


def test_a_refused_decision_is_set_aside_and_shown(server, rater):
    rater.tolerated = SERVER_AWAY
    sent = []

    def refuse(route):
        sent.append(route.request.post_data_json['item'])
        if sent[-1] == 1:
            route.fulfill(status=422, json={'error': 'a point lies outside the image'})
        else:
            route.continue_()

    rater.page.route(DECISIONS, refuse)
    rater.look(1).decide('m')
    rater.decide('n')
    rater.wait_until_saved(1)
    rater.wait_for_text('.banner', 'Sample 1, mitotic figure, was refused and is not saved: a point lies outside')
    rater.page.reload()
    rater.wait_for_crop().wait_for_text('.banner', 'Sample 1')
    rater.page.locator('.banner button', has_text='Look at it').click()
    rater.wait_for_crop()
    assert rater.item == 1
    assert rater.text('#viewer-state') == 'Undecided'
    rater.page.locator('.banner button', has_text='Dismiss').click()
    assert rater.page.locator('.banner').nth(1).is_hidden()
    assert sent == [1, 2]
    assert labels(server, rater) == {2: 'look_alike'}


def test_the_undo_of_a_refused_decision_takes_no_other_back(server, rater):
    rater.tolerated = SERVER_AWAY
    held = []

    def hold_second(route):
        if route.request.post_data_json['item'] == 1:
            route.continue_()
        else:
            held.append(route)

    rater.page.route(DECISIONS, hold_second)
    rater.look(1).decide('m')
    rater.wait_until_saved(1)
    with rater.page.expect_request(DECISIONS):
        rater.decide('n')
    rater.wait_for_crop().press('z').wait_for_crop()
    held[0].fulfill(status=422, json={'error': 'no'})
    rater.wait_for_text('.banner', 'Sample 2')
    rater.wait_until_saved(1)
    assert [entry.action for entry in server.log(rater.name)] == ['decide']


def test_nothing_to_undo_is_said(server, rater):
    rater.tolerated = SERVER_AWAY
    rater.look().press('z')
    rater.wait_for_text('#confirmation', 'Nothing was taken back')
    assert waiting(rater) == 0
    rater.decide('m')
    rater.wait_until_saved(1)


def test_undo_after_a_reload_shows_what_it_was_about(server, rater):
    rater.look(4).decide('m')
    rater.wait_until_saved(1)
    rater.page.reload()
    rater.wait_for_crop().press('z').wait_until_saved(0)
    rater.page.wait_for_function("document.querySelector('#viewer-title').textContent === 'Sample 4'")
    rater.decide('n')
    rater.wait_until_saved(1)
    assert server.states(rater.name) == {4: 'look_alike'}


def test_two_tabs_send_an_entry_under_one_request(server, rater, visit):
    rater.tolerated = SERVER_AWAY
    down = []
    rater.page.route(DECISIONS, lambda route: down.append(route.request.post_data_json['request']) or route.abort())
    other = visit(server, rater.name, context=rater.context).open()
    other.tolerated = SERVER_AWAY
    other.page.route(DECISIONS, lambda route: down.append(route.request.post_data_json['request']) or route.abort())
    items = [rater.look(3).decide('m'), other.look(5).decide('n')]
    rater.wait_for_text('.banner', '2 decisions not saved yet')
    other.wait_for_text('.banner', '2 decisions not saved yet')
    other.page.unroute(DECISIONS)
    rater.page.unroute(DECISIONS)
    rater.page.evaluate("window.dispatchEvent(new Event('online'))")
    rater.wait_until_saved(2)
    other.wait_until_saved(2)
    log = server.log(rater.name)
    assert [entry.item_id for entry in log] == items
    assert set(down) <= {entry.request for entry in log}
    other.press('g')
    assert other.tile_states()[3] == 'mitotic figure', 'what one tab saved, the other shows'


def test_another_rater_in_the_same_browser_does_not_get_the_decisions(server, rater, visit):
    rater.look(1).decide('m')
    rater.wait_until_saved(1)
    second = visit(server, context=rater.context).open()
    rater.decide('n')
    rater.wait_for_text('.banner', f'this browser now reviews as {second.name}')
    assert server.log(second.name) == []
    assert waiting(rater) == 1
    rater.open().wait_until_saved(2)
    assert labels(server, rater) == {1: 'mitotic', 2: 'look_alike'}


def test_leaving_with_unsaved_decisions_is_warned_of(rater):
    held, asked = [], []
    rater.page.route(DECISIONS, lambda route: held.append(route))
    rater.on('dialog', lambda dialog: asked.append(dialog.type) or dialog.dismiss())
    with rater.page.expect_request(DECISIONS):
        rater.look().decide('m')
    rater.page.close(run_before_unload=True)
    rater.page.wait_for_timeout(100)
    assert asked == ['beforeunload']
    held[0].continue_()
    rater.wait_until_saved(1)
    with rater.page.expect_event('close'):
        rater.page.close(run_before_unload=True)
    assert asked == ['beforeunload']


def test_without_secure_context_and_storage(server, visit):
    """Plain http on another host has neither randomUUID nor locks; strict settings forbid storage."""
    rater = visit(server, locale='en-GB')  # a context of its own: the script stays in it
    rater.page.add_init_script("""
        delete Crypto.prototype.randomUUID;
        delete Navigator.prototype.locks;
        Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});
    """)
    rater.open().look().decide('m')
    rater.decide('n')
    rater.wait_for_text('#progress-text', '^2 of')
    requests = [entry.request for entry in server.log(rater.name)]
    assert len(set(requests)) == 2
    assert all(UUID4.fullmatch(request) for request in requests)


def test_a_hidden_page_stops_the_clock(server, rater):
    rater.look()
    rater.page.evaluate("""
        Object.defineProperty(document, 'hidden', {value: true, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    """)
    rater.page.wait_for_timeout(1500)
    rater.page.evaluate("""
        Object.defineProperty(document, 'hidden', {value: false});
        document.dispatchEvent(new Event('visibilitychange'));
    """)
    shown_s = rater.page.evaluate('performance.now()') / 1000
    rater.press('m').wait_until_saved(1)
    (entry,) = server.log(rater.name)
    assert 0 < entry.seconds < shown_s - 1.4

"""Samples are decided on by keyboard, mouse and touch, and the log says exactly what was done."""

import re

import pytest

LABELS = {'m': 'mitotic', 'n': 'look_alike', 'u': 'unsure'}
WORDS = {'mitotic': 'mitotic figure', 'look_alike': 'look-alike', 'unsure': 'unsure'}
ANSWER = '.answer[data-answer={}]'
PHONE = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}


def decisions(server, rater):
    return [(entry.item_id, entry.label) for entry in server.log(rater.name) if entry.action == 'decide']


def test_twenty_samples_by_keyboard(server, rater):
    keys = 'mnunmmnnumnmunnmmnum'
    rater.look()
    made = [(rater.decide(key), LABELS[key]) for key in keys]
    rater.wait_until_saved(20)
    assert decisions(server, rater) == made
    assert len({item for item, _ in made}) == 20
    assert all(0 < entry.seconds < 60 and entry.blinded for entry in server.log(rater.name))
    assert 'median' in rater.text('#progress-text')

    rater.wait_for_crop().press('z').wait_until_saved(19)
    assert rater.item == made[-1][0]
    rater.press('z').wait_until_saved(18)
    assert [entry.undoes for entry in server.log(rater.name)[20:]] == [
        entry.entry_id for entry in server.log(rater.name)[18:20][::-1]
    ]

    rater.page.reload()
    rater.wait_for_crop()
    assert rater.item == made[-2][0]
    rater.press('g')
    states = rater.tile_states()
    assert len(states) == 24
    assert {item: state for item, state in states.items() if state != 'undecided'} == {
        item: WORDS[label] for item, label in made[:18]
    }
    assert server.states(rater.name) == dict(made[:18])


def test_after_the_last_one_a_panel_says_so(server, rater):
    rater.look()
    for _ in range(24):
        rater.decide('n')
    rater.page.locator('#closing[open]').wait_for()
    assert rater.text('#closing-title') == 'All 24 samples decided'
    assert rater.text('#progress-text').startswith('24 of 24 decided')
    rater.press('Enter')
    rater.page.locator('.tile:focus').wait_for()
    assert set(rater.tile_states().values()) == {'look-alike'}


def test_the_last_decision_is_confirmed_and_the_next_open_sample_shown(rater):
    first = rater.look().item
    rater.decide('n')
    rater.wait_for_text('#confirmation', f'Sample {first}: look-alike saved')
    assert rater.page.locator('#confirmation').get_attribute('aria-live') == 'polite'
    second = rater.wait_for_crop().item
    rater.press('ArrowRight').wait_for_crop().decide('m')
    rater.wait_until_saved(2).wait_for_crop().press('ArrowLeft', 'ArrowLeft', 'ArrowLeft')
    assert rater.wait_for_crop().item == first
    rater.decide('u')
    rater.wait_until_saved(2)
    assert rater.item == second, 'the next open one, whatever has been decided since'


def test_deciding_again_replaces(server, rater):
    item = rater.look().item
    rater.decide('m')
    rater.wait_until_saved(1).wait_for_crop().press('ArrowLeft').wait_for_crop()
    assert rater.text('#viewer-state').startswith('Decided: mitotic figure')
    assert rater.page.locator('.answer[aria-pressed=true]').get_attribute('data-answer') == 'mitotic'
    rater.decide('n')
    rater.wait_for_text('#confirmation', 'look-alike saved')
    assert decisions(server, rater) == [(item, 'mitotic'), (item, 'look_alike')]
    assert server.states(rater.name) == {item: 'look_alike'}


def test_a_held_key_decides_once(server, rater):
    rater.look()
    rater.page.keyboard.down('m')
    for _ in range(5):
        rater.wait_for_crop()
        rater.page.keyboard.down('m')  # without an `up` between, this is a repetition
    rater.page.keyboard.up('m')
    rater.wait_until_saved(1)
    rater.decide('n')
    rater.wait_until_saved(2)
    assert [label for _, label in decisions(server, rater)] == ['mitotic', 'look_alike']


def test_nothing_is_decided_on_a_crop_that_is_not_shown(server, rater):
    held = []

    def hold_first(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    rater.page.route('**/field?*', hold_first)
    with rater.page.expect_request('**/crops/1/field?*'):
        rater.press('Enter')
    rater.press('m')
    rater.wait_for_text('#confirmation', 'nothing was decided')
    held[0].continue_()
    rater.decide('n')
    rater.wait_until_saved(1)
    assert decisions(server, rater) == [(1, 'look_alike')]
    rater.page.evaluate('window.requestAnimationFrame = () => 0')  # from now on nothing is painted
    rater.press('ArrowRight')
    rater.page.locator('.crop[src*="/crops/3/"]').wait_for()
    rater.press('m')
    rater.wait_for_text('#confirmation', 'nothing was decided')
    assert decisions(server, rater) == [(1, 'look_alike')]


def test_keys_belong_to_fields_dialogs_and_the_browser_first(server, rater):
    rater.page.locator('select[name=state]').focus()
    rater.press('m', 'u', 'Escape')
    rater.page.locator('select[name=state]').select_option('')
    rater.look(1).press('Control+m', 'Alt+n', 'Meta+u', 'Control+z')
    rater.press('?', 'm', 'n', 'z')
    rater.page.locator('#letters').focus()
    rater.press('m', 'Escape')
    assert not rater.page.locator('#help').is_visible()
    assert rater.item == 1
    rater.decide('u')
    rater.wait_until_saved(1)
    assert decisions(server, rater) == [(1, 'unsure')]


def test_letter_keys_can_be_switched_off(server, rater):
    rater.look(3).press('?')
    rater.page.locator('#letters').uncheck()
    rater.press('Escape', 'm', 'ArrowRight')
    assert rater.wait_for_crop().item == 4
    rater.page.locator(ANSWER.format('unsure')).click()
    rater.wait_until_saved(1)
    assert decisions(server, rater) == [(4, 'unsure')]


def test_by_mouse(server, rater):
    page = rater.look(5).page
    page.locator(ANSWER.format('mitotic')).click()
    rater.wait_until_saved(1).wait_for_crop()
    page.keyboard.press(' ')
    assert page.locator('#zooms [aria-pressed=true]').inner_text() == '96 µm', 'space does not press the button again'
    box = rater.box(ANSWER.format('look_alike'))
    place = box['x'] + 20, box['y'] + 20
    page.mouse.click(*place)
    rater.wait_until_saved(2).wait_for_crop()
    page.mouse.down(click_count=2)  # the second half of a double click
    page.mouse.up(click_count=2)
    page.locator('#stage').focus()
    page.locator('#next').click()
    page.locator('#previous').click()
    page.locator('#undo').click()
    rater.wait_until_saved(1)
    page.locator('#to-gallery').click()
    page.locator('.tile:focus').wait_for()
    assert [entry.action for entry in server.log(rater.name)] == ['decide', 'decide', 'undo']
    assert server.states(rater.name) == {5: 'mitotic'}


def test_by_touch(server, visit):
    rater = visit(server, **PHONE).open()
    page = rater.page
    page.locator('.tile[aria-label^="Sample 2,"]').tap()
    rater.wait_for_crop()
    page.locator('#tool-add').tap()
    box = rater.box('#stage')
    page.touchscreen.tap(box['x'] + 100, box['y'] + 120)
    page.locator(ANSWER.format('unsure')).tap()
    rater.wait_until_saved(1).wait_for_crop()
    page.locator('#next').tap()
    rater.wait_for_crop()
    page.locator(ANSWER.format('look_alike')).tap()
    rater.wait_until_saved(2).wait_for_crop()
    page.locator('#undo').tap()
    rater.wait_until_saved(1)
    assert server.states(rater.name) == {2: 'unsure'}
    assert len(server.log(rater.name)[0].added_px) == 1


def test_with_tab_and_enter_alone(server, rater):
    for _ in range(20):
        rater.press('Tab')
        focused = rater.page.evaluate("document.activeElement.getAttribute('role')")
        if focused == 'gridcell':
            break
    rater.press('Enter').wait_for_crop()
    seen = []
    while not seen or seen[-1] != 'look_alike':
        rater.press('Tab')
        seen.append(rater.page.evaluate('document.activeElement.dataset.answer ?? document.activeElement.id'))
        assert len(seen) < 30, seen
    rater.page.keyboard.down('Enter')
    rater.wait_for_crop().page.keyboard.down('Enter')
    rater.page.keyboard.up('Enter')
    rater.wait_until_saved(1)
    assert decisions(server, rater) == [(1, 'look_alike')]


def test_tab_leaves_the_page_again(rater):
    rater.look()
    rater.page.evaluate('document.activeElement.blur()')
    stops = []
    for _ in range(40):
        rater.press('Tab')
        stops.append(rater.page.evaluate('document.activeElement.id || document.activeElement.textContent'))
        if stops.count(stops[0]) > 1:
            break
    assert {'theme', 'help-open', 'stage', 'undo', 'tool-move'} <= set(stops)
    assert stops.count(stops[0]) == 2, 'after everything else it begins again'


def test_the_arrows_walk_the_gallery(rater):

    def active():
        return int(re.match(r'Sample (\d+),', rater.page.locator('.tile:focus').get_attribute('aria-label'))[1])

    columns = int(rater.page.locator('#grid').get_attribute('aria-colcount'))
    assert active() == 1
    rater.press('ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowLeft')
    assert active() == 2 + columns
    rater.press('ArrowUp', 'ArrowUp')
    assert active() == 2
    rater.press('End')
    assert active() == 24
    rater.press('Home', 'ArrowLeft', 'PageDown')
    assert active() > columns
    rater.press('Home', 'Enter').wait_for_crop().press('ArrowRight').wait_for_crop().press('Escape')
    assert active() == 2, 'the gallery goes on where the single view was left'
    assert rater.page.locator('.tile[tabindex="0"]').count() == 1
    assert rater.page.locator('#grid').get_attribute('aria-rowcount') == str(-(-24 // columns))
    assert rater.page.locator('[role=row]').nth(1).get_attribute('aria-rowindex') == '2'


def test_filters_choose_what_is_shown_and_walked_through(server, rater):
    page = rater.page
    items = server.items()
    page.locator('select[name=case]').select_option(label='002')
    page.locator('select[name=scanner]').select_option(label='Aperio CS2')
    expected = [item.item_id for item in items if item.case_id == '002' and item.scanner == 'Aperio_CS2']
    assert sorted(rater.tile_states()) == expected
    assert rater.text('#shown') == f'{len(expected)} of 24 samples'
    rater.look(expected[0]).decide('m')
    rater.wait_until_saved(1)
    assert rater.wait_for_crop().item == expected[1]
    assert rater.text('#viewer-facts').startswith(f'2 of {len(expected)} · case 002 · Aperio CS2')
    rater.press('g')
    page.locator('select[name=state]').select_option('open')
    assert sorted(rater.tile_states()) == expected[1:]
    page.locator('select[name=scanner]').select_option('')
    page.locator('select[name=case]').select_option('')
    page.locator('select[name=state]').select_option('mitotic')
    assert rater.tile_states() == {expected[0]: 'mitotic figure'}
    page.locator('select[name=state]').select_option('unsure')
    assert page.locator('.grid-empty').is_visible()


def test_neighbours_are_fetched_ahead(rater):
    rater.look(10)
    rater.wait_for_neighbours()
    assert sorted(rater.crops_asked_for()) == [9, 10, 11, 12]
    rater.press('ArrowRight').wait_for_crop().press('ArrowLeft').wait_for_crop()
    rater.wait_for_neighbours()
    assert sorted(rater.crops_asked_for()) == [9, 10, 11, 12, 13], 'what was fetched is not fetched again'


def test_back_and_reload_keep_the_place(rater):
    rater.look(7).press('ArrowRight').wait_for_crop()
    rater.page.reload()
    assert rater.wait_for_crop().item == 8
    rater.press('g')
    assert rater.page.locator('#grid').is_visible()
    rater.look(3).page.go_back()
    rater.page.locator('#grid').wait_for()


def test_two_raters_at_once_and_a_tiebreaker_for_their_ties(serve, visit):
    server = serve(raters=2, tiebreaker='tia', images=3)
    anna, ben = visit(server, 'rater1').open(), visit(server, 'rater2').open()
    keys = {'rater1': 'mmnnum', 'rater2': 'mnmnuu'}
    anna.look()
    ben.look()
    for first, second in zip(keys['rater1'], keys['rater2']):
        anna.wait_for_crop()
        ben.wait_for_crop()
        anna.press(first)
        ben.press(second)
    anna.page.locator('#closing[open]').wait_for()
    ben.page.locator('#closing[open]').wait_for()
    for name, pressed in keys.items():
        made = [(entry.item_id, entry.label) for entry in server.log(name)]
        assert made == list(zip(range(1, 7), map(LABELS.get, pressed)))

    tia = visit(server, 'tia').open()
    assert set(tia.tile_states()) == {2, 3, 5}
    tia.look()
    while not tia.page.locator('#closing[open]').is_visible():
        tia.decide('n')
        tia.wait_for_text('#confirmation', 'saved')
        tia.page.wait_for_timeout(50)
    assert [(entry.item_id, entry.label, entry.role) for entry in server.log('tia')] == [
        (item, 'look_alike', 'tiebreaker') for item in (2, 3, 5)
    ]


def test_the_gallery_says_what_this_is_and_where_to_begin(server, visit):
    rater = visit(server).open()
    assert rater.text('#start-title') == '24 samples to decide on'
    assert 'is the cell in the centre a mitotic figure' in rater.text('#start-text')
    assert 'your answer is your own' in rater.text('#start-text')
    begin = rater.page.get_by_role('button', name='Begin')
    begin.click()
    rater.wait_for_crop()
    first = rater.item
    assert rater.text('#viewer-state') == 'Undecided'
    rater.decide('m')
    rater.wait_until_saved(1).press('g')
    assert rater.text('#start-title') == '1 of 24 samples decided, 23 to go'
    assert rater.text('#start-go-text') == 'Go on'
    rater.press('b')
    rater.wait_for_crop()
    assert rater.item != first, 'the next undecided one'


def test_going_on_leaves_a_filter_that_shows_nothing_undecided(server, visit):
    rater = visit(server).open()
    rater.look()
    decided = rater.decide('u')
    rater.wait_until_saved(1).press('g')
    rater.page.locator('select[name=state]').select_option('unsure')
    assert list(rater.tile_states()) == [decided]
    rater.page.locator('#start-go').click()
    rater.wait_for_crop()
    assert rater.item != decided
    assert rater.text('#viewer-facts').startswith('1 of 23')


def test_everything_decided_can_be_looked_through_again(serve, visit):
    server = serve(images=1)
    rater = visit(server).open()
    for count in (1, 2):
        rater.press('b') if count == 1 else None
        rater.decide('n')
        rater.wait_until_saved(count)
    rater.page.locator('#closing[open]').wait_for()
    rater.press('Escape', 'g')
    assert rater.text('#start-title') == 'All 2 samples decided'
    rater.page.get_by_role('button', name='Look through them again').click()
    rater.wait_for_crop()
    assert rater.text('#viewer-state').startswith('Decided: look-alike')


def test_nothing_is_called_open_that_is_undecided(server, visit):
    rater = visit(server).open()
    words = rater.page.locator('.tile-word').all_inner_texts()
    assert set(words) == {'undecided'}
    options = rater.page.locator('select[name=state] option').all_inner_texts()
    assert 'undecided' in options
    assert 'open' not in options
    assert set(rater.tile_states().values()) == {'undecided'}


def test_a_case_is_called_one_once(serve, visit):
    rater = visit(serve(images=2, case='case_{:02d}')).open()
    names = rater.page.locator('.tile').evaluate_all("(tiles) => tiles.map((tile) => tile.getAttribute('aria-label'))")
    assert all('case' in name and 'case case' not in name for name in names)
    rater.look()
    assert ' case_0' in rater.text('#viewer-facts')
    assert 'case case' not in rater.text('#viewer-facts')
    assert ' case 00' in visit(server_of_numbers(serve)).open().look().text('#viewer-facts')


def server_of_numbers(serve):
    return serve(images=1)


def test_the_end_of_the_image_is_drawn_within_the_crop(server, visit):
    rater = visit(server).open()
    rater.look()
    rater.press('Space') if rater.page.locator('#zooms button[aria-pressed=true]').inner_text() != '96 µm' else None
    rater.page.locator('#zooms button', has_text='96').click()
    # The image of 240 px ends within the 385 px that are shown.
    stage, border = rater.box('#stage'), rater.box('.border-line')
    assert border['width'] == pytest.approx(stage['width'] * 240 / 384, rel=0.02)
    assert border['height'] == pytest.approx(border['width'], rel=0.02)

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from review_requests import make_items

from mitouts.review.ledger import Ledger
from mitouts.review.store import ReviewStore

RATERS = {'anna': 'rater', 'ben': 'rater', 'tom': 'tiebreaker'}
steps = st.lists(
    st.tuples(
        st.sampled_from(list(RATERS)),
        st.integers(1, 3),
        st.sampled_from(['mitotic', 'look_alike', 'unsure', 'undo']),
        st.booleans(),
    ),
    max_size=14,
)


@settings(max_examples=8)
@given(steps)
def test_the_ledger_says_what_the_database_says(history):
    with tempfile.TemporaryDirectory() as folder, ReviewStore.create(Path(folder) / 'r', make_items(3), {}) as store:
        ledger = Ledger(store)
        for number, (rater, item_id, what, is_looked_at) in enumerate(history):
            if what != 'undo':
                store.decide(
                    request=str(number), rater=rater, item_id=item_id, label=what, blinded=True, role=RATERS[rater]
                )
            elif store.states(rater):
                store.undo(request=str(number), rater=rater)
            if is_looked_at:
                assert ledger.of(rater) == store.states(rater)
                assert ledger.decision(rater, item_id) == store.states(rater).get(item_id)
                assert ledger.ties() == set(store.ties())
        assert sorted(ledger.all(), key=lambda each: each.decision_id) == store.decisions()
        assert ledger.of('nobody') == {}
        assert ledger.ties() == Ledger(store).ties() == set(store.ties())

"""Finds the largest, then cheapest matching of a sparse bipartite graph, in memory linear in its edges.

SciPy's dense solver needs a full cost matrix, and a slide's points can form one connected component of 100,000 x
100,000; its sparse solver scans every column for each step and takes full matchings only. Here the largest size comes
from a maximum flow, the Dulmage-Mendelsohn decomposition tells which side of which part every largest matching
saturates, and the least cost follows from auction bids (on all free rows at once) and shortest augmenting paths.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Bidding settles most rows within a few rounds; what then remains are price wars, which augmenting paths end sooner.
_MAX_BIDDING_ROUNDS = 100
# SciPy's dense solver is the faster one where its matrix is well filled; the bounds on its size keep memory linear.
_MIN_DENSE_ENTRIES = 64
_MANY_ENTRIES = 1_000_000
_MAX_ENTRIES_PER_EDGE = 32
_MAX_ENTRIES_PER_EDGE_OF_MANY = 4


def least_cost_matching(row: IntArray, col: IntArray, cost: FloatArray, num_rows: int, num_cols: int) -> IntArray:
    """Choose as many edges as possible that share no row or column, at the least total cost.

    Dulmage and Mendelsohn 1958 (the parts), Bertsekas 1988 (the bids), Jonker and Volgenant 1987 (the paths). Equal
    costs are resolved by the order of the edges, so the result is deterministic.

    Args:
        row: ``(E,)`` integer, the row of each edge; no edge occurs twice.
        col: ``(E,)`` integer, its column.
        cost: ``(E,)`` float, its cost, finite and not negative.
        num_rows: Number of rows; some may have no edge.
        num_cols: Number of columns.

    Returns:
        ``(M,)`` int64, the positions of the chosen edges, ascending.
    """
    if not len(row):
        return np.zeros(0, dtype=np.int64)
    num_components, label = connected_components(_graph(row, num_rows + col, num_rows + num_cols), directed=False)
    rows_in = np.bincount(label[:num_rows], minlength=num_components)
    cols_in = np.bincount(label[num_rows:], minlength=num_components)
    component = label[row]
    edges_in = np.bincount(component, minlength=num_components)
    is_star = np.minimum(rows_in, cols_in) == 1
    entries = rows_in * cols_in
    per_edge = np.where(entries <= _MANY_ENTRIES, _MAX_ENTRIES_PER_EDGE, _MAX_ENTRIES_PER_EDGE_OF_MANY)
    is_dense = ~is_star & (entries >= _MIN_DENSE_ENTRIES) & (entries <= per_edge * edges_in)
    is_sparse = ~is_star & ~is_dense

    chosen = [_solve_stars(component, cost, np.flatnonzero(is_star[component]))]
    dense_edges = np.flatnonzero(is_dense[component])
    dense_edges = dense_edges[np.argsort(component[dense_edges], kind='stable')]
    for edges in np.split(dense_edges, np.flatnonzero(np.diff(component[dense_edges])) + 1):
        sub_row, sub_col, shape = _compact(row[edges], col[edges])
        chosen.append(edges[_solve_dense(sub_row, sub_col, cost[edges], shape)])
    edges = np.flatnonzero(is_sparse[component])
    sub_row, sub_col, shape = _compact(row[edges], col[edges])
    chosen.append(edges[_solve_sparse(sub_row, sub_col, cost[edges], shape)])
    return np.sort(np.concatenate(chosen))


def _compact(row: IntArray, col: IntArray) -> tuple[IntArray, IntArray, tuple[int, int]]:
    """Renumber the rows and columns that occur, starting from 0."""
    rows, row = np.unique(row, return_inverse=True)
    cols, col = np.unique(col, return_inverse=True)
    return row, col, (len(rows), len(cols))


def _solve_stars(component: IntArray, cost: FloatArray, edges: IntArray) -> IntArray:
    """Choose the cheapest edge of each component with a single row or column. Nearly all components have one."""
    edges = edges[np.lexsort((cost[edges], component[edges]))]
    return edges[_is_first(component[edges])]


def _solve_dense(row: IntArray, col: IntArray, cost: FloatArray, shape: tuple[int, int]) -> IntArray:
    edge_at = np.full(shape, -1, dtype=np.int64)
    edge_at[row, col] = np.arange(len(row))
    # Dearer than any matching: leaving a pair out never pays.
    matrix = np.full(shape, (min(shape) + 1.0) * (cost.max(initial=0.0) + 1.0))
    matrix[row, col] = cost
    chosen = edge_at[linear_sum_assignment(matrix)]
    return chosen[chosen >= 0]


def _solve_sparse(row: IntArray, col: IntArray, cost: FloatArray, shape: tuple[int, int]) -> IntArray:
    if not len(row):
        return np.zeros(0, dtype=np.int64)
    num_rows, num_cols = shape
    mate_of_row, mate_of_col = _largest_matching(row, col, num_rows, num_cols)
    surplus_row, scarce_col = _reachable(row, col, mate_of_row, num_cols)
    surplus_col, scarce_row = _reachable(col, row, mate_of_col, num_rows)
    crowded = surplus_row[row] & scarce_col[col]
    roomy = scarce_row[row] & surplus_col[col]
    square = ~(surplus_row | scarce_row)[row] & ~(surplus_col | scarce_col)[col]
    # Every largest matching uses edges within the three parts only. Where rows are in surplus it saturates the
    # columns, elsewhere the rows: with that side as the bidders there always is a full matching.
    usable = np.flatnonzero(crowded | roomy | square)
    flipped = crowded[usable]
    bidder = np.where(flipped, num_rows + col[usable], row[usable])
    item = np.where(flipped, row[usable], num_rows + col[usable])
    bidder, item, (num_bidders, num_items) = _compact(bidder, item)
    return usable[_saturate(bidder, item, cost[usable], num_bidders, num_items)]


def _largest_matching(row: IntArray, col: IntArray, num_rows: int, num_cols: int) -> tuple[IntArray, IntArray]:
    """Find one largest matching: each row's column and each column's row, -1 where there is none.

    SciPy's ``maximum_bipartite_matching`` does not mark dead ends and becomes exponential on such graphs.
    """
    source, sink = num_rows + num_cols, num_rows + num_cols + 1
    tail = np.concatenate([np.full(num_rows, source), row, num_rows + np.arange(num_cols)])
    head = np.concatenate([np.arange(num_rows), num_rows + col, np.full(num_cols, sink)])
    flow = maximum_flow(_graph(tail, head, sink + 1), source, sink, method='dinic').flow.tocoo()
    used = (flow.data > 0) & (flow.row < num_rows)
    mate_of_row = np.full(num_rows, -1, dtype=np.int64)
    mate_of_col = np.full(num_cols, -1, dtype=np.int64)
    mate_of_row[flow.row[used]] = flow.col[used] - num_rows
    mate_of_col[flow.col[used] - num_rows] = flow.row[used]
    return mate_of_row, mate_of_col


def _reachable(
    row: IntArray, col: IntArray, mate_of_row: IntArray, num_cols: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the rows and columns that alternating paths reach from the unmatched rows."""
    num_rows = len(mate_of_row)
    source = num_rows + num_cols
    matched = np.flatnonzero(mate_of_row >= 0)
    unmatched = np.flatnonzero(mate_of_row < 0)
    tail = np.concatenate([row, num_rows + mate_of_row[matched], np.full(len(unmatched), source)])
    head = np.concatenate([num_rows + col, matched, unmatched])
    graph = _graph(tail, head, source + 1)
    reached = np.zeros(source + 1, dtype=bool)
    reached[breadth_first_order(graph, source, directed=True, return_predecessors=False)] = True
    return reached[:num_rows], reached[num_rows:source]


@dataclass
class _Market:
    """An auction: bidders, items and the edges between them, sorted by bidder. Every bidder can be matched.

    The prices keep complementary slackness: an owner's item is the cheapest (cost + price) of those it could have, and
    an item that nobody owns has the price 0.
    """

    indptr: IntArray
    item: IntArray
    cost: FloatArray
    price: FloatArray
    edge_of_bidder: IntArray
    owner_of_item: IntArray


def _saturate(bidder: IntArray, item: IntArray, cost: FloatArray, num_bidders: int, num_items: int) -> IntArray:
    """Give every bidder an item of its own at the least total cost, and return one edge for each bidder."""
    order = np.argsort(bidder, kind='stable')
    market = _Market(
        indptr=np.searchsorted(bidder[order], np.arange(num_bidders + 1)),
        item=item[order],
        cost=cost[order],
        price=np.zeros(num_items),
        edge_of_bidder=np.full(num_bidders, -1, dtype=np.int64),
        owner_of_item=np.full(num_items, -1, dtype=np.int64),
    )
    free = np.arange(num_bidders)
    for _ in range(_MAX_BIDDING_ROUNDS):
        if not len(free):
            break
        free = _bid(market, free)
    _augment(market, free)
    return order[market.edge_of_bidder]


def _bid(market: _Market, free: IntArray) -> IntArray:
    """Let every free bidder bid once for its best item, and return those still free afterwards."""
    first = market.indptr[free]
    degree = market.indptr[free + 1] - first
    start = np.cumsum(degree) - degree
    edge = np.repeat(first - start, degree) + np.arange(degree.sum())
    offer = market.cost[edge] + market.price[market.item[edge]]
    best = np.minimum.reduceat(offer, start)
    whose = np.repeat(np.arange(len(free)), degree)
    cheapest = np.flatnonzero(offer == best[whose])
    cheapest = cheapest[_is_first(whose[cheapest])]
    offer[cheapest] = np.inf
    # A bidder with a single item could bid without limit; a finite step keeps the prices finite, and every step up to
    # its second-best offer keeps complementary slackness.
    step = np.minimum(np.minimum.reduceat(offer, start) - best, 4.0 * market.cost.max() + 1.0)
    wanted = market.item[edge[cheapest]]
    bid = market.price[wanted] + step
    order = np.lexsort((-bid, wanted))
    wins = _is_first(wanted[order])
    winner, bought = order[wins], wanted[order[wins]]
    outbid = market.owner_of_item[bought]
    outbid = outbid[outbid >= 0]
    market.edge_of_bidder[outbid] = -1
    market.edge_of_bidder[free[winner]] = edge[cheapest[winner]]
    market.owner_of_item[bought] = free[winner]
    market.price[bought] = bid[winner]
    return np.concatenate([free[order[~wins]], outbid])


def _augment(market: _Market, free: IntArray) -> None:
    """Match the remaining bidders along shortest augmenting paths, by Dijkstra's algorithm on the reduced costs.

    The data are plain lists because the searches are short and local.
    """
    if not len(free):
        return
    indptr, item, cost, price = (array.tolist() for array in (market.indptr, market.item, market.cost, market.price))
    edge_of_bidder, owner_of_item = market.edge_of_bidder.tolist(), market.owner_of_item.tolist()
    for root in free.tolist():
        bidder, travelled = root, 0.0
        least = min(cost[edge] + price[item[edge]] for edge in range(indptr[root], indptr[root + 1]))
        distance: dict[int, float] = {}
        reached_by: dict[int, tuple[int, int]] = {}
        settled: set[int] = set()
        heap: list[tuple[float, int]] = []
        while True:
            for edge in range(indptr[bidder], indptr[bidder + 1]):
                target = item[edge]
                if target in settled:
                    continue
                length = travelled + cost[edge] + price[target] - least
                if length < distance.get(target, np.inf):
                    distance[target] = length
                    reached_by[target] = edge, bidder
                    heapq.heappush(heap, (length, target))
            travelled, target = heapq.heappop(heap)
            while target in settled:
                travelled, target = heapq.heappop(heap)
            bidder = owner_of_item[target]
            if bidder < 0:
                break
            settled.add(target)
            least = cost[edge_of_bidder[bidder]] + price[target]
        for passed in settled:
            price[passed] += travelled - distance[passed]
        bidder = -1
        while bidder != root:
            edge, bidder = reached_by[target]
            owner_of_item[target] = bidder
            previous, edge_of_bidder[bidder] = edge_of_bidder[bidder], edge
            if bidder != root:
                target = item[previous]
    market.edge_of_bidder[:] = edge_of_bidder


def _graph(tail: IntArray, head: IntArray, num_nodes: int) -> csr_matrix:
    return csr_matrix((np.ones(len(tail), dtype=np.int32), (tail, head)), shape=(num_nodes, num_nodes))


def _is_first(ordered: IntArray) -> NDArray[np.bool_]:
    """Mark the first entry of each run of equal values."""
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return first

// Goes through the rows of some pages of a heap in rounds, to replace them with little room. A
// round is one transaction or several. It replaces the rows for whose new versions their page
// has room: that touches no index, unless an indexed column changes. If a page has none, it gives
// up a few rows to other pages. The rest wait for the next round: what the rounds before have
// left on the page is pruned then, as long as no snapshot needs it.
//
// So the heap grows by some of the rows of so many pages, and not by a version of each row.
#pragma once

#include "postgres/compat.hpp"

struct TupleTableSlot;

namespace oauth_tokens
{

struct RowRounds {
	MemoryContext memory; // outlives the transactions
	BlockNumber first;    // of the pages
	BlockNumber end;      // behind the last one
	BlockNumber blocks;   // of the heap, which may become shorter between transactions
	// The places of the rows, in order: those that wait for the next round, a gap, and from `next`
	// on those of this round.
	ItemPointerData *places;
	int capacity;
	int count;
	int next;
	int waiting;
	// The page that the round has come to.
	BlockNumber block;
	int may_leave; // so many of its rows may go to other pages, before one has room
	bool leaves;   // the row that next_row() has returned, if it is replaced
};

// Begins with the rows that the snapshot sees on the pages from rounds.end on, `pages` of them.
// False if the heap ends before.
bool begin_rounds(RowRounds &rounds, Relation relation, Snapshot snapshot, BlockNumber pages);

// In each other transaction, before anything else.
void resume_rounds(RowRounds &rounds, Relation relation);

// The next row of this round that is to be replaced now, if it has to be at all; then call
// row_was_replaced(). False at the round's end.
bool next_row(RowRounds &rounds, Relation relation, Snapshot snapshot, TupleTableSlot *slot);
void row_was_replaced(RowRounds &rounds);

// After next_row() has returned false: whether there is another round.
bool begin_next_round(RowRounds &rounds);

void end_rounds(RowRounds &rounds);

} // namespace oauth_tokens

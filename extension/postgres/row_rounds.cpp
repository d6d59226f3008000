#include "postgres/row_rounds.hpp"

#include "postgres/heap_room.hpp"

extern "C" {
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
}

namespace oauth_tokens
{

namespace
{

// Rounds for a page without room, at most: each costs a visit.
constexpr int kRoundsPerPage = 8;

void add_place(RowRounds &rounds, const ItemPointerData &place)
{
	if (rounds.count == rounds.capacity) {
		rounds.capacity = Max(rounds.capacity * 2, 1024);
		const Size size = rounds.capacity * sizeof(ItemPointerData);
		rounds.places = static_cast<ItemPointerData *>(rounds.places == nullptr
														   ? MemoryContextAlloc(rounds.memory, size)
														   : repalloc(rounds.places, size));
	}
	rounds.places[rounds.count++] = place;
}

// Whether the new version, which is as long, has room on the page. A guess: nobody is kept from
// the page.
bool has_room(const TupleTableSlot *row)
{
	const auto *slot = reinterpret_cast<const BufferHeapTupleTableSlot *>(row);
	return MAXALIGN(slot->base.tuple->t_len) <= PageGetHeapFreeSpace(BufferGetPage(slot->buffer));
}

void turn_to_page(RowRounds &rounds, Relation relation, BlockNumber block)
{
	prune_page(relation, block);
	rounds.block = block;
	int rows = 0;
	for (int i = rounds.next;
		 i < rounds.count && ItemPointerGetBlockNumber(&rounds.places[i]) == block; i++)
		rows++;
	rounds.may_leave = (rows + kRoundsPerPage - 1) / kRoundsPerPage;
}

} // namespace

bool begin_rounds(RowRounds &rounds, Relation relation, Snapshot snapshot, BlockNumber pages)
{
	resume_rounds(rounds, relation);
	if (rounds.end >= rounds.blocks)
		return false;
	rounds.first = rounds.end;
	rounds.end += Min(pages, rounds.blocks - rounds.first);
	rounds.count = rounds.next = rounds.waiting = 0;
	rounds.block = InvalidBlockNumber;

	ItemPointerData first;
	ItemPointerData last;
	ItemPointerSet(&first, rounds.first, FirstOffsetNumber);
	ItemPointerSet(&last, rounds.end - 1, MaxOffsetNumber);
	TableScanDesc scan = table_beginscan_tidrange(relation, snapshot, &first, &last);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		add_place(rounds, slot->tts_tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return true;
}

void resume_rounds(RowRounds &rounds, Relation relation)
{
	rounds.blocks = RelationGetNumberOfBlocks(relation);
}

bool next_row(RowRounds &rounds, Relation relation, Snapshot snapshot, TupleTableSlot *slot)
{
	for (; rounds.next < rounds.count; rounds.next++) {
		CHECK_FOR_INTERRUPTS();
		ItemPointerData *place = &rounds.places[rounds.next];
		if (ItemPointerGetBlockNumber(place) >= rounds.blocks)
			continue;
		if (ItemPointerGetBlockNumber(place) != rounds.block) {
			ExecClearTuple(slot); // pruning needs the page for itself
			turn_to_page(rounds, relation, ItemPointerGetBlockNumber(place));
		}
		// Others may have changed it since.
		if (!table_tuple_fetch_row_version(relation, place, snapshot, slot))
			continue;
		rounds.leaves = !has_room(slot);
		if (!rounds.leaves || rounds.may_leave > 0) {
			rounds.next++;
			return true;
		}
		rounds.places[rounds.waiting++] = *place;
	}
	return false;
}

void row_was_replaced(RowRounds &rounds)
{
	rounds.may_leave = rounds.leaves ? rounds.may_leave - 1 : 0;
}

bool begin_next_round(RowRounds &rounds)
{
	rounds.count = rounds.waiting;
	rounds.next = rounds.waiting = 0;
	rounds.block = InvalidBlockNumber;
	return rounds.count > 0;
}

void end_rounds(RowRounds &rounds)
{
	if (rounds.places != nullptr)
		pfree(rounds.places);
	rounds.places = nullptr;
}

} // namespace oauth_tokens

#include "postgres/heap_pages.hpp"

extern "C" {
#include "access/heapam.h"
#include "storage/freespace.h"
}

namespace oauth_tokens
{

namespace
{

HeapTupleData tuple_at(Relation relation, Buffer buffer, BlockNumber block, OffsetNumber offset)
{
	HeapTupleData tuple;
	const Page page = BufferGetPage(buffer);
	const ItemId pointer = PageGetItemId(page, offset);
	tuple.t_tableOid = RelationGetRelid(relation);
	tuple.t_data = (HeapTupleHeader)PageGetItem(page, pointer);
	tuple.t_len = ItemIdGetLength(pointer);
	ItemPointerSet(&tuple.t_self, block, offset);
	return tuple;
}

// As VACUUM's second pass: no index points to what is dead here.
Size free_dead_pointers(Buffer buffer)
{
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	const Page page = BufferGetPage(buffer);
	const OffsetNumber last = PageGetMaxOffsetNumber(page);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++) {
		const ItemId pointer = PageGetItemId(page, offset);
		if (ItemIdIsDead(pointer) && !ItemIdHasStorage(pointer))
			ItemIdSetUnused(pointer);
	}
	PageTruncateLinePointerArray(page);
	PageSetHasFreeLinePointers(page);
	MarkBufferDirty(buffer);
	const Size room = PageGetHeapFreeSpace(page);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return room;
}

} // namespace

void open_heap_page(Relation relation, BlockNumber block, Snapshot snapshot, Tidy tidy,
					HeapPage &page)
{
	page.buffer = ReadBuffer(relation, block);
	page.block = block;
	page.visible = 0;
	page.has_dead_pointers = false;
	if (tidy == Tidy::yes)
		heap_page_prune_opt(relation, page.buffer);
	LockBuffer(page.buffer, BUFFER_LOCK_SHARE);
	const Page contents = BufferGetPage(page.buffer);
	const OffsetNumber last = PageGetMaxOffsetNumber(contents);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++) {
		const ItemId pointer = PageGetItemId(contents, offset);
		if (ItemIdIsDead(pointer))
			page.has_dead_pointers = true;
		if (!ItemIdIsNormal(pointer))
			continue;
		HeapTupleData tuple = tuple_at(relation, page.buffer, block, offset);
		if (HeapTupleSatisfiesVisibility(&tuple, snapshot, page.buffer))
			page.offsets[page.visible++] = offset;
	}
	// The pin keeps tuples in their places.
	LockBuffer(page.buffer, BUFFER_LOCK_UNLOCK);
}

HeapTupleData tuple_on_page(Relation relation, const HeapPage &page, int number)
{
	return tuple_at(relation, page.buffer, page.block, page.offsets[number]);
}

bool close_heap_page(Relation relation, const HeapPage &page, Tidy tidy)
{
	const bool tidies = tidy == Tidy::yes && page.has_dead_pointers;
	const Size room = tidies ? free_dead_pointers(page.buffer) : 0;
	ReleaseBuffer(page.buffer);
	if (tidies)
		RecordPageWithFreeSpace(relation, page.block, room);
	return tidies;
}

void end_tidying(Relation relation, bool tidied)
{
	if (tidied)
		FreeSpaceMapVacuum(relation);
}

} // namespace oauth_tokens

#include "postgres/heap_room.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/visibilitymap.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/freespace.h"
}

namespace oauth_tokens
{

namespace
{

// heap_page_prune_opt() passes over a page with some room, unless it is said to be full. For large
// rows some room is none.
void prune(Relation relation, Buffer buffer)
{
	const Page page = BufferGetPage(buffer);
	if (TransactionIdIsValid(reinterpret_cast<PageHeader>(page)->pd_prune_xid) &&
		!PageIsFull(page)) {
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		PageSetFull(page);
		MarkBufferDirtyHint(buffer, true);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	heap_page_prune_opt(relation, buffer);
}

Size prune_and_measure(Relation relation, BlockNumber block)
{
	const Buffer buffer = ReadBuffer(relation, block);
	prune(relation, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	const Size room = PageGetHeapFreeSpace(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return room;
}

} // namespace

void prune_page(Relation relation, BlockNumber block)
{
	const Buffer buffer = ReadBuffer(relation, block);
	prune(relation, buffer);
	ReleaseBuffer(buffer);
}

void give_back_room(Relation relation, BlockNumber first, BlockNumber end)
{
	end = Min(end, RelationGetNumberOfBlocks(relation));
	Buffer map = InvalidBuffer;
	for (BlockNumber block = first; block < end; block++) {
		CHECK_FOR_INTERRUPTS();
		if (!VM_ALL_VISIBLE(relation, block, &map)) // else nothing on it is dead
			RecordPageWithFreeSpace(relation, block, prune_and_measure(relation, block));
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
	if (first < end)
		FreeSpaceMapVacuumRange(relation, first, end);
}

void give_back_room_at(PageCursor &cursor, Relation relation, BlockNumber pages)
{
	const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
	const BlockNumber first = cursor.next < blocks ? cursor.next : 0;
	const BlockNumber until_end = Min(pages, blocks - first);
	give_back_room(relation, first, first + until_end);
	const BlockNumber from_start = Min(pages - until_end, first);
	give_back_room(relation, 0, from_start);
	cursor.next = from_start > 0 ? from_start : first + until_end;
}

} // namespace oauth_tokens

// The table's part of a rotation (oauth_rotate_keys.cpp). Its functions commit.
#pragma once

#include "keys/rotation_progress.hpp"
#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// The caller's rights, and every row: a policy makes this fail.
void check_rotation_rights(const TokenTable &table);

// Goes through the whole table once and seals anew what is outdated, `batch_size` rows a
// transaction at most.
void rotate_tokens(std::int64_t batch_size, RotationProgress &progress);

// Whether one snapshot of the table shows no value under an older key.
bool tokens_are_rotated();

} // namespace oauth_tokens

// Which keys this database has used. A value does not say which key it needs: if none of the
// ring opens it, these are the ones to look for.
#pragma once

namespace oauth_tokens
{

// Records the keys of the ring, by their fingerprints; nothing if there is none. Within an SPI
// connection.
void record_used_keys();

} // namespace oauth_tokens

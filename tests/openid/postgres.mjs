// What docs/clients.md says of node-pg, ten clients beside one another:
// postgres.mjs '{"host": …, "port": …, "user": …, "database": …}'
// Prints how many server processes have served them, once all is as it should be.

import assert from "node:assert/strict"
import pg from "pg"

const settings = JSON.parse(process.argv[2])
const workspace = "11111111-1111-4111-8111-111111111111"
const clients = []
for (let n = 0; n < 10; n++) {
	clients.push(new pg.Client(settings))
	await clients[n].connect()
}
const servers = new Set()

async function call(client, sql, ...parameters) {
	return (await client.query(sql, parameters)).rows[0]
}

function store(client, whose, access, refresh, kind = "$3") {
	return call(client, `SELECT oauth_store($1, $2, ${kind}, $4, $5, $6, expires_in => $7, details => $8) AS id`,
		...whose, access, refresh, 3599, JSON.stringify({ account_id: "7" }))
}

for (let round = 0; round < 8; round++)
	await Promise.all(clients.map(async (client, n) => {
		const whose = [workspace, "google", "user", `node-${n}`]
		const kind = n % 2 ? "$3" : "$3::actor_type_enum"
		const before = await store(client, whose, `${n} in ${round}`, "its refresh token", kind)
		assert.equal((await store(client, whose, `${n} in ${round}`, null, kind)).id, before.id)
		servers.add((await call(client, "SELECT pg_backend_pid() AS pid")).pid)
		const got = await call(client, `SELECT * FROM oauth_get($1, $2, ${kind}, $4)`, ...whose)
		assert.equal(got.access_token, `${n} in ${round}`)
		assert.equal(got.refresh_token, "its refresh token")
		assert(got.expires_at instanceof Date && got.expires_at > new Date(Date.now() + 59 * 60 * 1000))
		const lives = await call(client, `SELECT oauth_access_token($1, $2, ${kind}, $4, $5) AS token`, ...whose, "2 min")
		assert.equal(lives.token, `${n} in ${round}`)
		const soon = await call(client, `SELECT oauth_access_token($1, $2, ${kind}, $4, $5) AS token`, ...whose, "2 h")
		assert.equal(soon.token, null)
	}))

// A time as Date, and a transaction.
const [client] = clients
const whose = [workspace, "google", "user", "node-time"]
const time = new Date(Date.now() + 1000000)
await client.query("BEGIN")
await call(client, "SELECT oauth_store($1, $2, $3, $4, $5, expires_at => $6)", ...whose, "kept", time)
await client.query("COMMIT")
await client.query("BEGIN")
await store(client, whose, "rolled back", null)
await client.query("ROLLBACK")
const got = await call(client, "SELECT * FROM oauth_get($1, $2, $3, $4)", ...whose)
assert.deepEqual([got.access_token, got.expires_at.getTime()], ["kept", time.getTime()])

// All ten wait for the test's sidecar.
await Promise.all(clients.map(async (one, n) => {
	const its = [workspace, "google", "user", `node-fresh-${n}`]
	await call(one, "SELECT oauth_store($1, $2, $3, $4, 'short', 'its refresh token', expires_in => 1)", ...its)
	const { token } = await call(one, "SELECT oauth_fresh_access_token($1, $2, $3, $4, $5) AS token", ...its, "2 min")
	assert.match(token, /^fresh /)
	assert.equal((await call(one, "SELECT oauth_access_token($1, $2, $3, $4) AS token", ...its)).token, token)
}))

await assert.rejects(store(client, [workspace, "google", "robot", "x"], "sentinel", null), (error) => {
	assert.equal(error.code, "22023")
	return !`${error.message} ${error.detail} ${error.stack}`.includes("sentinel")
})
assert.equal((await call(client, "SELECT oauth_delete($1, $2, $3, $4) AS gone", ...whose)).gone, true)

for (const one of clients)
	await one.end()
console.log(servers.size)

/*
 * The cache's coherence, as "Protocol" in the design of the cache tells it: one
 * identity, the database that holds its token, the Redis that holds a copy, and
 * all who touch either. README.md says what is left out. A step that is one
 * command of Redis, or one statement or commit of the database, is one atomic
 * block; anybody may stop for good between two of them.
 *
 * Promises, all asserted in Reader(), of what Redis would serve at any moment:
 *
 *  P1  nothing older than a change that somebody has finished invalidating
 *  P2  nothing that was superseded LIFE or more ago, with every sidecar dead
 *  P3  nothing but the committed version, where everything rests
 *
 * A scenario is a set of the bounds below; scripts/check-model has the list.
 * A name in capitals after #ifdef, which is no bound, takes one guard away.
 */

#ifndef SIDECARS
#define SIDECARS 2
#endif
#ifndef FILLERS
#define FILLERS 2
#endif
#ifndef CHANGES
#define CHANGES 2 /* commits of all writers */
#endif
#ifndef DATABASES
#define DATABASES 1 /* 2: the second is a standby, promoted once, the first lives on */
#endif
#ifndef REDISES
#define REDISES 1 /* 2: sidecar and filler 1 have a Redis of their own */
#endif
#ifndef CRASH_AFTER
#define CRASH_AFTER 0 /* changes; the database does not crash before */
#endif
#ifndef REGISTRATIONS
#define REGISTRATIONS 4 /* ids of registrations; a bound for two sidecars who take turns */
#endif
/*
 * Other bounds, each absent or there: PAGED (invalidations are read a few at a time),
 * FOREIGN (a late SETEX by somebody else), EMPTY (it starts with nothing
 * registered), ENDS (a writer ends the registration once), DB_CRASH, TRUNCATES
 * (a change may be one of all identities), REDIS_RESTARTS (once, with
 * nothing or with what it last dumped), TICKS=n (time passes, n times), SHOWN (entries
 * are sealed: invalidations stay for a while after their entries were dropped).
 *
 * Who drains is no part of it: any sidecar may do a pass at any moment, or none.
 */
#if defined(EMPTY) || defined(ENDS) || defined(DB_CRASH) || defined(TRUNCATES) ||             \
	defined(REDIS_RESTARTS) || DATABASES > 1 || REDISES > 1
#define EPOCH_MOVES
#endif

#define OTHERS 4 /* an invalidation of another identity */
#define LIFE 2 /* of the heartbeat, in ticks; five seconds */
#define EPOCHS 9 /* known to anybody at one time, from 1 on */

#define VERSIONS 8
#define max(a, b) ((a) > (b) -> (a) : (b))

typedef Database {
	byte version;     /* committed */
	byte registration_id; /* of the valid registration, 0 where there is none */
	byte cache;       /* the run of Redis that is registered */
	byte invalidations;       /* committed, a set of ids */
	byte all          /* those of them that name no identity */
};

typedef Redis {
	byte run_id;
	byte epoch;
	bit ready;        /* and not "evicting" */
	byte live;        /* the epoch that it is of */
	byte until;
	byte entry;       /* the version in it, 0 where there is none */
	byte sealed;      /* entry_metadata: the version whose digest it has */
	byte sealed_in;   /* entry_metadata: the epoch */
#ifdef ONLOOKER_TRUSTS_DRAINER
	byte drainer;     /* the sidecar, from 1 on */
	byte drains_until;
#endif
	byte lease        /* the filler that holds it, from 1 on */
};

Database database[DATABASES];
Redis redis[REDISES];
#ifdef REDIS_RESTARTS
Redis dump;
#endif

/* What the value of an epoch says; ids that nobody knows any more are used again. */
byte epoch_registration_id[EPOCHS];
byte epoch_run[EPOCHS];

byte truth;            /* the database that counts */
byte last = 1;         /* version given out */
byte registration_ids;     /* given out */
byte runs;             /* given out */
byte changes;          /* committed */

/* Writer w has the invalidation id w: it got it when its transaction began. */
bit writing[2];        /* it holds its lock on the table, and on the row */
bit finished[2];
bit knows[2];          /* it found a registration */
#ifdef REGISTRY_READ_BY_OLD_SNAPSHOT
bit begun[2];
#endif

byte known[SIDECARS];  /* the epoch that the sidecar works for */
bit busy[SIDECARS];
byte filling[FILLERS]; /* the epoch that the filler knew at its start */

byte done[REDISES];    /* ghost: what is older has been invalidated there */

#ifdef TICKS
byte now;
byte superseded[VERSIONS]; /* ghost: when, plus 1 */
#define supersede(v) superseded[v] = (superseded[v] -> superseded[v] : now + 1)
#else
#define supersede(v) skip
#endif

#if SIDECARS > 1
#define sidecars_rest (!busy[0] && !busy[1])
#else
#define sidecars_rest (!busy[0])
#endif
#if FILLERS > 1
#define fillers_rest (!filling[0] && !filling[1])
#else
#define fillers_rest (!filling[0])
#endif

/* Each process has a db and an r. */
#define DB database[db]
#define R redis[r]
#define connected (connection == R.run_id)
#ifdef REDIS_RESURRECTS
#define same_run(e) true
#else
#define same_run(e) (epoch_run[e] == R.run_id)
#endif

/*
 * Which random id an epoch has makes no difference: renumbers them in the order
 * of those who know them, and forgets those whom nobody knows. Fewer states.
 */
hidden byte name[EPOCHS];
hidden byte registration_of[EPOCHS];
hidden byte run_of[EPOCHS];
hidden byte names;
hidden byte k;

#define rename(e)                                                                     \
	if                                                                                \
	:: e && !name[e] ->                                                               \
		names++;                                                                      \
		name[e] = names;                                                              \
		registration_of[names] = epoch_registration_id[e];                                 \
		run_of[names] = epoch_run[e]                                                  \
	:: else                                                                           \
	fi;                                                                               \
	e = name[e]

inline settle() {
	d_step {
		names = 0;
		k = 0;
		do
		:: k < EPOCHS -> name[k] = 0; registration_of[k] = 0; run_of[k] = 0; k++
		:: else -> break
		od;
		rename(redis[0].epoch);
		rename(redis[0].live);
		rename(redis[0].sealed_in);
#if REDISES > 1
		rename(redis[1].epoch);
		rename(redis[1].live);
		rename(redis[1].sealed_in);
#endif
#ifdef REDIS_RESTARTS
		rename(dump.epoch);
		rename(dump.live);
		rename(dump.sealed_in);
#endif
		rename(known[0]);
#if SIDECARS > 1
		rename(known[1]);
#endif
		rename(filling[0]);
#if FILLERS > 1
		rename(filling[1]);
#endif
		k = 0;
		do
		:: k < EPOCHS ->
			epoch_registration_id[k] = registration_of[k];
			epoch_run[k] = run_of[k];
			k++
		:: else -> break
		od;
		k = 0
	}
}

inline new_epoch(registration_then, run_then) {
	d_step {
		k = 1;
		do
		:: epoch_run[k] -> k++
		:: else -> break
		od;
		assert(k < EPOCHS); /* or there must be more of them */
		epoch_registration_id[k] = registration_then;
		epoch_run[k] = run_then;
		R.epoch = k;
		R.ready = 0;
		known[me] = k;
		k = 0
	}
	settle()
}

inline drop_entry(r) {
	redis[r].entry = 0;
	redis[r].sealed = 0;
	redis[r].sealed_in = 0
}

/* ---------------------------------------------------------------- writers */

inline commit(w) {
	d_step {
		supersede(database[truth].version);
		last++;
		database[truth].version = last;
		if
		:: knows[w] -> database[truth].invalidations = database[truth].invalidations | (1 << w)
		:: else
		fi;
		changes++;
		writing[w] = 0;
		knows[w] = 0;
		finished[w] = 1
	}
}

/* Both update the one row, so that one waits for the other; either may be first. */
proctype Writers() {
	byte w;

	do
	:: atomic {
		changes < CHANGES && !writing[0] && !writing[1] ->
		if
		:: !finished[0] -> w = 0
		:: !finished[1] -> w = 1
		fi;
#ifdef REGISTRY_READ_BY_OLD_SNAPSHOT
		if
		:: !begun[w] -> begun[w] = 1; knows[w] = (database[truth].registration_id != 0)
		:: begun[w] -> writing[w] = 1
		fi;
#else
		writing[w] = 1;
		knows[w] = (database[truth].registration_id != 0);
#endif
		w = 0
	}
	:: atomic {
		writing[0] || writing[1] ->
		w = (writing[1] -> 1 : 0);
		if
		:: commit(w)
#ifdef TRUNCATES
		:: knows[w] -> database[truth].all = database[truth].all | (1 << w); commit(w)
#endif
#ifdef ENDS
		:: knows[w] && registration_ids < REGISTRATIONS && database[truth].registration_id ->
			/* Invalidations are too many or too old: its deletion of the row commits with it. */
			database[truth].registration_id = 0;
			database[truth].cache = 0;
			commit(w)
#endif
		fi;
		w = 0
	}
	od
}

/* ---------------------------------------------------------------- sidecars */

/* It took all of `upto` into account, and did it where the truth is. */
inline write_heartbeat() {
	if
	:: db == truth && DB.registration_id && DB.registration_id == epoch_registration_id[known[me]] ->
		done[r] = max(done[r], upto)
	:: else
	fi
}

inline register() {
	DB.invalidations = 0;
	DB.all = 0;
	registration_ids++;
	DB.registration_id = registration_ids;
	DB.cache = connection;
	registration_id = registration_ids
}

#ifdef WRITER_SLIPS_PAST_REGISTRATION
#define share_lock true
#else
#define share_lock (db != truth || !(writing[0] || writing[1]))
#endif

/* It dies and starts again, before any step. (Dead for good it may be anyway.) */
#ifdef NO_RESTARTS
#define or_crash
#else
#define or_crash :: goto again
#endif

/* An invalidation that is shown is found again by each pass, which has nothing to drop for it. */
#ifdef SHOWN
#define to_drop (seen & ~shown)
#else
#define to_drop seen
#endif

proctype Sidecar(byte me) {
	byte db = (DATABASES > 1 -> me : 0);
	byte r = (REDISES > 1 -> me : 0);
	byte connection, before, registration_id, seen, upto, at;
	bit whole, swapped;
#ifdef SHOWN
	byte shown, shown_under, due; /* invalidations whose entry it has dropped; their registration_id */
#endif
#ifdef CURSOR_INSTEAD_OF_INVALIDATIONS
	byte cursor;
#endif

again:
	atomic {
		db <= truth ->
		known[me] = 0;
		settle();
		busy[me] = 1;
		registration_id = 0;
		seen = 0;
		upto = 0;
		at = 0;
		whole = 0;
		swapped = 0;
		before = (connection && connection != R.run_id -> connection : 0);
		connection = R.run_id;
#ifdef SHOWN
		/* It has forgotten if it died, and not if it only begins anew. */
		if
		:: shown -> shown = 0
		:: true
		fi;
#endif
#ifndef EPOCH_MOVES
		/* Then whoever starts again finds what it left. */
		known[me] = R.epoch;
		before = 0;
		busy[me] = 0;
		goto pass
#endif
	}

#ifdef REDIS_RESTARTS
	/* Its Redis has started anew: the registration of the former run ends. */
	if
	:: atomic {
		before ->
		if
		:: DB.cache == before ->
			DB.registration_id = 0;
			DB.cache = 0;
			DB.invalidations = 0;
			DB.all = 0
		:: else
#ifdef UNREGISTER_DELETES_OTHERS_INVALIDATIONS
			-> DB.invalidations = 0; DB.all = 0
#endif
		fi;
		before = 0
	}
	:: !before
	fi;
#endif

	if
	:: atomic { DB.registration_id && DB.cache == connection -> registration_id = DB.registration_id }
	:: atomic {
		/* None, or another Redis that nobody has spoken for in 30 seconds. */
		(!DB.registration_id || (DB.cache != connection && connected)) &&
			share_lock && registration_ids < REGISTRATIONS ->
		register()
	}
	:: !connected -> goto again
	fi;

	if
	:: atomic {
		if
		:: !connected -> goto again
		:: connected && R.epoch && epoch_registration_id[R.epoch] == registration_id &&
				same_run(R.epoch) ->
			known[me] = R.epoch;
			settle()
#if DATABASES > 1 && !defined(DEPOSED_TAKES_OVER)
		/* Redis serves a later timeline of this database: hands off, heartbeat or not. */
		:: connected && R.epoch && epoch_registration_id[R.epoch] != registration_id && db < truth &&
				epoch_registration_id[R.epoch] == database[truth].registration_id ->
			goto again
#endif
		:: else ->
#ifdef DROP_WITHOUT_EPOCH
			if
			:: R.epoch ->
				known[me] = R.epoch;
				settle();
				epoch_registration_id[R.epoch] = registration_id;
				epoch_run[R.epoch] = connection;
				swapped = 1
			:: else ->
				new_epoch(registration_id, connection)
			fi
#else
			new_epoch(registration_id, connection)
#endif
		fi;
		registration_id = 0
	}
	or_crash
	fi;

dropping:
	if
	:: atomic { R.epoch == known[me] && R.ready && !swapped && connected }
	:: atomic {
		connected && (!R.ready || swapped || R.epoch != known[me]) ->
		R.lease = 0
	}
		if
		:: atomic { connected -> drop_entry(r); settle() }
		:: !connected -> goto again
		or_crash
		fi;
		if
		:: atomic {
			connected && R.epoch == known[me] ->
			if
			:: !R.ready -> R.ready = 1; upto = max(upto, DB.version); write_heartbeat()
			:: else
			fi;
			swapped = 0
		}
		:: !connected || R.epoch != known[me] -> goto again
		or_crash
		fi
	:: !connected -> goto again
	fi;
	if
	:: seen -> goto acknowledge
	:: else -> atomic { upto = 0; busy[me] = 0 }
	fi;

pass:
#ifdef ONLOOKER_TRUSTS_DRAINER
	/* Another one drains, says Redis, and not long ago it was true. */
	if
	:: atomic { R.drainer && R.drainer != me + 1 && connected && R.epoch == known[me] && R.ready ->
		R.live = known[me];
		R.until = now + LIFE;
		settle();
		goto pass
	}
	:: true
	fi;
#endif
#ifdef TICKS
	if
	:: atomic {
		connected ->
		busy[me] = 1;
#ifndef HEARTBEAT_STAMPED_LATE
		at = now;
#endif
	}
	:: !connected -> goto again
	or_crash
	fi;
#endif

	if
	:: atomic {
		if
#ifndef REGISTRATION_NOT_CHECKED_AT_PASS
		:: DB.registration_id != epoch_registration_id[known[me]] -> goto again
		:: DB.registration_id == epoch_registration_id[known[me]] ->
#else
		:: true ->
#endif
			whole = 1;
#ifdef CURSOR_INSTEAD_OF_INVALIDATIONS
			seen = DB.invalidations & ~((1 << cursor) - 1);
			cursor = (seen & 2 -> 2 : (seen & 1 -> 1 : cursor))
#else
			seen = DB.invalidations
#endif
#ifdef PAGED
		/* No more than fit into a page; the pass after this one reads on. */
		:: (DB.invalidations & OTHERS) && (DB.invalidations & 3) -> seen = OTHERS
		:: (DB.invalidations & OTHERS) && (DB.invalidations & 3) -> seen = DB.invalidations & 3
#endif
		fi;
		busy[me] = 1;
		upto = (whole -> DB.version : 0);
#ifdef STAMPS_AFTER_PARTIAL_READ
		upto = DB.version;
		whole = 1;
#endif
	}
	or_crash
	fi;

#ifdef INVALIDATIONS_DELETED_BEFORE_REDIS
	if
	:: atomic { DB.registration_id == epoch_registration_id[known[me]] -> DB.invalidations = DB.invalidations & ~seen }
	or_crash
	fi;
#endif

#ifdef SHOWN
	atomic {
#ifndef SHOWN_SURVIVES_REGISTRATION
		shown = (shown_under == epoch_registration_id[known[me]] -> shown : 0);
#endif
		shown_under = epoch_registration_id[known[me]];
		shown = shown & seen
	}
#endif

	if
	:: to_drop & DB.all ->
		/* The change of all identities: nothing of this epoch is to be served. */
		if
		:: atomic {
			connected && R.epoch == known[me] ->
			new_epoch(epoch_registration_id[known[me]], connection)
		}
#ifdef ALL_DONE_BY_FOREIGN_EPOCH
		:: atomic { connected && R.epoch && R.epoch != known[me] &&
				epoch_registration_id[R.epoch] == epoch_registration_id[known[me]] ->
			known[me] = R.epoch;
			settle()
		}
#endif
		:: !connected || R.epoch != known[me] -> goto again
		or_crash
		fi;
		goto dropping
	:: !(to_drop & DB.all) && (to_drop & 3) ->
		if
		:: atomic {
			connected ->
			drop_entry(r);
			settle();
#ifndef INVALIDATION_LEAVES_LEASE
			R.lease = 0;
#endif
			write_heartbeat()
		}
		:: !connected -> goto again
		or_crash
		fi
	:: !(to_drop & DB.all) && !(to_drop & 3)
	fi;

acknowledge:
#ifdef SHOWN
	/* It may be time for those that an earlier pass has dropped, or not yet. */
	atomic {
		due = seen & shown;
		shown = seen;
		if
		:: seen = due
		:: seen = 0
		fi;
		due = 0
	}
#endif
	if
#ifndef CURSOR_INSTEAD_OF_INVALIDATIONS
	:: atomic {
		seen &&
#ifndef REGISTRATION_NOT_CHECKED_AT_ACK
			DB.registration_id == epoch_registration_id[known[me]] &&
#endif
			true ->
#ifdef DELETES_UNREAD_INVALIDATIONS
		seen = 7;
#endif
		DB.invalidations = DB.invalidations & ~seen;
		DB.all = DB.all & ~seen;
		seen = 0
	}
#ifndef REGISTRATION_NOT_CHECKED_AT_ACK
	:: seen && DB.registration_id != epoch_registration_id[known[me]] -> goto again
#endif
#else
	:: seen -> seen = 0
#endif
	:: !seen
	or_crash
	fi;

	if
	:: atomic {
		whole && connected &&
#ifdef STAMP_WITHOUT_EPOCH_CHECK
			R.epoch && R.ready ->
		R.live = R.epoch;
#else
			R.epoch == known[me] && R.ready ->
		R.live = known[me];
#endif
#ifdef TICKS
#ifdef HEARTBEAT_STAMPED_LATE
		at = now;
#endif
		/* Born expired, it takes away what there was. */
		R.until = (at + LIFE > now -> at + LIFE : 0);
		R.live = (at + LIFE > now -> R.live : 0);
#endif
#ifdef ONLOOKER_TRUSTS_DRAINER
		if
		:: !R.drainer || R.drainer == me + 1 -> R.drainer = me + 1; R.drains_until = now + 1
		:: else
		fi;
#endif
		write_heartbeat();
		settle();
		upto = 0;
		whole = 0;
		at = 0;
		busy[me] = 0
	}
#ifndef STAMP_WITHOUT_EPOCH_CHECK
	:: whole && (!connected || R.epoch != known[me] || !R.ready) -> goto again
#endif
	:: atomic { !whole -> upto = 0; at = 0; busy[me] = 0 }
	or_crash
	fi;
	goto pass
}

/* ----------------------------------------------------------------- fillers */

#ifdef REGISTRATION_NOT_CHECKED_AT_FILL
#define right_registration(i, e) true
#else
#define right_registration(i, e) (i == epoch_registration_id[e])
#endif

/* The sidecar's pool may lead to either database, whichever its sidecar is at. */
inline read_database() {
	if
	:: value = database[0].version;
		right = right_registration(database[0].registration_id, filling[me])
#if DATABASES > 1
	:: truth -> value = database[1].version;
		right = right_registration(database[1].registration_id, filling[me])
#endif
	fi;
	value = (right -> value : 0)
}

proctype Filler(byte me) {
	byte r = (REDISES > 1 -> me : 0);
	byte value;
	bit right;

	do
	:: atomic { R.epoch && R.ready && same_run(R.epoch) ->
		filling[me] = R.epoch;
		settle();
#ifdef EPOCH_MOVES
		}
		atomic {
#endif
#ifdef SNAPSHOT_BEFORE_LEASE
		read_database()
		}
		atomic {
#endif
		/* It is free, or has run out: it may at any moment. */
		R.lease = me + 1
		}
#ifndef SNAPSHOT_BEFORE_LEASE
		atomic { read_database() }
#endif
		atomic {
			if
			:: right &&
#ifndef EPOCH_NOT_CHECKED_AT_FILL
				R.epoch == filling[me] &&
#endif
#ifdef LEASE_OF_ANYBODY
				R.lease &&
#elif !defined(WITHOUT_LEASE)
				R.lease == me + 1 &&
#endif
				R.ready ->
				R.entry = value;
				R.sealed = value;
				R.sealed_in = R.epoch;
				R.lease = 0
			:: else
			fi;
			filling[me] = 0;
			value = 0;
			right = 0;
			settle()
		}
	od
}

/* ----------------------------------------------------------------- readers */

#ifdef COMPANION_IGNORED
#define sealed(q) true
#else
#define sealed(q) (q.sealed == q.entry && q.sealed_in == q.live)
#endif
#if defined(REDIS_RESURRECTS) || defined(READER_IGNORES_RUN)
#define on_its_run(q) true
#else
#define on_its_run(q) (epoch_run[q.live] == q.run_id)
#endif
#define current(q) (epoch_registration_id[q.live] == database[truth].registration_id)
#define everything_rests                                                              \
	(!database[truth].invalidations && !writing[0] && !writing[1] && sidecars_rest && fillers_rest)

/* MGET is one step: what it would give now is what a read that begins now gets. */
proctype Reader(byte r) {
	do
	:: atomic {
		R.entry && R.live && sealed(R) ->
#ifdef TICKS
		/* Whoever does not look at the run of Redis, has this promise left. P2 */
		assert(!superseded[R.entry] || now + 1 < superseded[R.entry] + LIFE ||
			(DATABASES > 1 && !current(R)));
#endif
		if
		:: on_its_run(R) ->
			assert(R.entry >= done[r]); /* P1 */
			assert(!everything_rests || !current(R) || R.entry == database[truth].version) /* P3 */
		:: else
		fi
	}
	od
}

/* ------------------------------------------------------------------ events */

inline database_starts(d) {
	database[d].registration_id = 0;
	database[d].cache = 0;
	database[d].invalidations = 0;
	database[d].all = 0;
	writing[0] = 0;
	writing[1] = 0;
	knows[0] = 0;
	knows[1] = 0;
	/* The ids of transactions whose commit is lost are given out again. */
	finished[0] = 0;
	finished[1] = 0
}

inline redis_takes(q) {
	redis[0].epoch = q.epoch;
	redis[0].ready = q.ready;
	redis[0].live = q.live;
	redis[0].until = q.until;
	redis[0].entry = q.entry;
	redis[0].sealed = q.sealed;
	redis[0].sealed_in = q.sealed_in;
	redis[0].lease = q.lease
}

#ifdef DB_CRASH
/* Restarts by itself; what was committed asynchronously may be lost, and the row
 * as it was before counts as a version of its own. */
proctype DatabaseCrash() {
	atomic {
		changes >= CRASH_AFTER ->
		if
		:: true
		:: last > 1 -> supersede(database[0].version); last++; database[0].version = last
		fi;
#ifdef REGISTRATION_SURVIVES_CRASH
		database[0].invalidations = 0;
		database[0].all = 0;
		writing[0] = 0;
		writing[1] = 0
#else
		database_starts(0)
#endif
	}
}
#endif

#if DATABASES > 1
/* The standby lacks the last commit, or not. */
proctype Promotion() {
	atomic {
		database[1].version = database[0].version;
		if
		:: true
		:: supersede(database[0].version); last++; database[1].version = last
		fi;
		truth = 1;
		database_starts(1)
	}
}
#endif

#ifdef FOREIGN
proctype ForeignWriter() {
	byte version = 1;

	do
	:: version < last -> version++
	:: break
	od;
	atomic { redis[0].entry = version; version = 0 }
}
#endif

#ifdef REDIS_RESTARTS
proctype RedisRestart() {
	d_step {
		dump.epoch = redis[0].epoch;
		dump.ready = redis[0].ready;
		dump.live = redis[0].live;
		dump.until = redis[0].until;
		dump.entry = redis[0].entry;
		dump.sealed = redis[0].sealed;
		dump.sealed_in = redis[0].sealed_in;
		dump.lease = redis[0].lease
	}
	atomic {
		if
		:: redis_takes(dump); runs++; redis[0].run_id = runs
		:: redis[0].epoch = 0;
			redis[0].ready = 0;
			redis[0].live = 0;
			redis[0].until = 0;
			redis[0].lease = 0;
			drop_entry(0);
			if
			:: true /* FLUSHALL */
			:: runs++; redis[0].run_id = runs
			fi
		fi;
#ifdef TICKS
		if
		:: redis[0].until <= now -> redis[0].live = 0; redis[0].until = 0
		:: else
		fi;
#endif
		dump.epoch = 0;
		dump.ready = 0;
		dump.live = 0;
		dump.until = 0;
		dump.entry = 0;
		dump.sealed = 0;
		dump.sealed_in = 0;
		dump.lease = 0;
		settle()
	}
}
#endif

#ifdef TICKS
inline expire(q) {
	if
	:: q.live && q.until <= now -> q.live = 0; q.until = 0
	:: else
	fi
#ifdef ONLOOKER_TRUSTS_DRAINER
	;
	if
	:: q.drainer && q.drains_until <= now -> q.drainer = 0; q.drains_until = 0
	:: else
	fi
#endif
}

proctype Clock() {
	do
	:: d_step {
		now < TICKS && truth == DATABASES - 1 ->
		now++;
		expire(redis[0]);
#if REDISES > 1
		expire(redis[1]);
#endif
	}
	od
}
#endif

init {
	atomic {
		byte i;
		database[0].version = 1;
		for (i : 0 .. REDISES - 1) {
			runs++;
			redis[i].run_id = runs;
			run Reader(i)
		}
#ifndef EMPTY
		registration_ids = 1;
		database[0].registration_id = 1;
		database[0].cache = redis[0].run_id;
#ifdef PAGED
		database[0].invalidations = OTHERS;
#endif
		epoch_registration_id[1] = 1;
		epoch_run[1] = redis[0].run_id;
		redis[0].epoch = 1;
		redis[0].ready = 1;
#endif
		for (i : 0 .. SIDECARS - 1) {
			run Sidecar(i)
		}
		for (i : 0 .. FILLERS - 1) {
			run Filler(i)
		}
		i = 0;
		run Writers();
#ifdef DB_CRASH
		run DatabaseCrash();
#endif
#if DATABASES > 1
		run Promotion();
#endif
#ifdef FOREIGN
		run ForeignWriter();
#endif
#ifdef REDIS_RESTARTS
		run RedisRestart();
#endif
#ifdef TICKS
		run Clock();
#endif
	}
}

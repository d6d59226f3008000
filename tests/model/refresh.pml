/*
 * The refresh of one token: who may ask the provider, and how its answer reaches the
 * row. There are the database, the holders of attempts (sidecars, or applications with
 * the capability `refresher`), their spool, the provider, and those who change the row
 * meanwhile. README.md says what is left out. A transaction, a request or an fsync is one
 * atomic block; between two of them any holder may be stopped or killed.
 *
 * Promises:
 *
 *  P1  a refresh token that the provider does not take any more is never sent; a strict
 *      provider would revoke the family, which is the grant with all its tokens
 *  P2  a rotated token that reached the spool is not lost: if no answer is on its way and
 *      no file is left, the provider takes the refresh token of the row
 *  P3  an answer replaces nothing but the token that was spent for it: neither a later
 *      store nor the answer of a later attempt
 *  P4  an answer never brings a deleted row back
 *  P5  as long as there is an attempt, a key of the ring opens the key of its file
 *
 * P1 and P2 except a token whose answer never reached a spool (`given_up`): the network
 * lost it, or its holder died between the answer and the fsync. If the provider keeps
 * the old token until the new one is used, nothing is excepted.
 *
 * A scenario is a set of the bounds and a provider below; scripts/check-model has the
 * list. A name in capitals after #ifdef that is neither takes one guard away.
 */

#ifndef HOLDERS
#define HOLDERS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 3 /* fences given out */
#endif
#ifndef CHANGES
#define CHANGES 2 /* of the row, by others than holders */
#endif
/*
 * Other bounds, each absent or there: DB_CRASH (the database crashes, any number of
 * times, and loses what was committed asynchronously), ROTATES_KEYS.
 *
 * The provider is strict unless one of these is there: each refresh ends the old token,
 * and an ended one that is sent again revokes the family. REFUSES: an ended one is only
 * refused. GRACE: the old one ends some time later. UNTIL_USED: it ends when the new one
 * is first used.
 */

/* Tokens: the answer to attempt f contains token f. */
#define FIRST (ATTEMPTS + 1)  /* in the row at the start */
#define STORED (ATTEMPTS + 2) /* of another grant, by a store */
#define bit(t) (1 << (t))

typedef Database {
	bit row;         /* there is one */
	byte token;      /* its refresh token */
	bit touched;     /* somebody has changed the access token alone */
	bit resealed;    /* it is sealed with the new key of the ring */
	bit dead;        /* dead_grant; it is tried again all the same, slowly */
	byte attempts;   /* set of fences: those without an outcome; each has a file's key */
	byte attempts_resealed /* set of fences: those whose file's key the new key seals */
};

Database db;
#ifdef DB_CRASH
Database disk;       /* what a crash leaves */
#endif
bit new_key;         /* the ring has one, and seals with it */
bit old_key_gone;

/* What an attempt began with; it never changes. */
byte fences;         /* given out */
byte spent[ATTEMPTS + 1];
byte saw_touched;    /* set of fences */
byte saw_resealed;   /* set of fences */

/* Sets of fences. */
byte in_time;        /* their lease is not over */
byte sent;           /* the request is on its way */
byte answered;       /* the answer is in the holder's memory alone */
byte files;          /* the answer is in the spool */

/* Sets of tokens. */
byte taken;          /* the provider takes them */
byte other_grant;    /* they belong to the grant that was stored */
byte given_up;       /* see above */
#ifdef GRACE
byte ending;         /* spent, and still taken for a while */
byte at_once;        /* set of fences: begun in doubt, because of the grace */
bit grace;           /* the database counts it from the first attempt at a token on */
#endif

byte changes;
bit stored;

/* ---------------------------------------------------------------- database */

inline copy(to, from) {
	to.row = from.row;
	to.token = from.token;
	to.touched = from.touched;
	to.resealed = from.resealed;
	to.dead = from.dead;
	to.attempts = from.attempts;
	to.attempts_resealed = from.attempts_resealed
}

/* A commit that waits for the disk saves all commits before it. */
inline flush() {
#ifdef DB_CRASH
	copy(disk, db);
#endif
	skip
}

inline forget_attempts() {
	db.dead = 0;
	db.attempts = 0;
	db.attempts_resealed = 0
}

inline end_attempt(f) {
	db.attempts = db.attempts & ~bit(f);
	db.attempts_resealed = db.attempts_resealed & ~bit(f)
}

#ifdef WITHOUT_LEASE
#define leased false
#else
#define leased (db.attempts & in_time)
#endif
#define in_doubt (db.attempts & ~in_time)

/*
 * The wait after an attempt without an outcome. With a strict provider we assume that
 * meanwhile every answer that is in memory or in the spool is handed in.
 */
#if defined(REFUSES) || defined(UNTIL_USED) || defined(WITHOUT_WAITING)
#define waited true
#else
#define waited (!answered && !files)
#endif
#ifdef RETRIES_AT_ONCE_AFTER_GRACE
#define within_grace true
#elif defined(GRACE)
#define within_grace grace
#else
#define within_grace false
#endif

#ifdef TOUCH_ENDS_ATTEMPT
#define seems_superseded                                                                \
	(db.touched -> !(db.attempts & saw_touched) : !(db.attempts & ~saw_touched))
#else
#define seems_superseded false
#endif
#define may_begin                                                                       \
	(db.row && fences < ATTEMPTS &&                                                     \
	 (seems_superseded || (!leased && (!in_doubt || waited || within_grace))))

inline begin(f) {
	fences++;
	f = fences;
#ifdef GRACE
	at_once = (in_doubt && !waited -> at_once | bit(f) : at_once);
	grace = (in_doubt -> grace : 1);
#endif
	spent[f] = db.token;
	saw_touched = saw_touched | (db.touched << f);
	saw_resealed = saw_resealed | (db.resealed << f);
	in_time = in_time | bit(f);
#ifdef ONE_KEY_PER_TOKEN
	db.attempts = 0;
	db.attempts_resealed = 0;
#endif
	db.attempts = db.attempts | bit(f);
	db.attempts_resealed = db.attempts_resealed | (new_key << f);
#ifndef BEGIN_NOT_FLUSHED
	flush()
#endif
}

#ifdef FENCE_COMPARES_CIPHERTEXTS
#define same_ciphertext(f) (db.resealed == ((saw_resealed & bit(f)) != 0))
#else
#define same_ciphertext(f) true
#endif
#define has_spent_token(f) (db.row && db.token == spent[f] && same_ciphertext(f))
#define same_access_token(f) (db.touched == ((saw_touched & bit(f)) != 0))

/* Later attempts that failed do not count. */
#define is_last(f) ((db.attempts >> f) == 1)

#ifdef WITHOUT_FENCE
#define fence_holds(f) true
#elif defined(FENCE_IS_A_NUMBER)
#define fence_holds(f) is_last(f)
#else
#define fence_holds(f) (is_last(f) && has_spent_token(f) && same_access_token(f))
#endif

inline write_row(f) {
	assert(db.row);               /* P4 */
	assert(db.token == spent[f]); /* P3 */
	db.row = 1;
	db.token = f;
	db.touched = 0;
	db.resealed = new_key;
	in_time = in_time & ~bit(f);
	forget_attempts()
}

#define COMMITTED 1
#define SUPERSEDED 2
#define DELETED 3 /* the new refresh token is in the revocation queue */
#define BUSY 4

inline commit(f, answer) {
	if
#ifndef COMMIT_UPSERTS
	:: !db.row -> answer = DELETED; forget_attempts(); flush()
	:: db.row && fence_holds(f) ->
#else
	:: !db.row || fence_holds(f) ->
#endif
		assert(!db.row || same_access_token(f)); /* P3 */
		write_row(f);
		answer = COMMITTED;
#ifndef COMMIT_NOT_FLUSHED
		flush()
#endif
	:: else ->
		answer = SUPERSEDED;
#ifdef SUPERSEDED_COMMIT_ENDS_ATTEMPT
		end_attempt(f)
#else
		if
		:: !has_spent_token(f) -> end_attempt(f)
		:: else /* a replay may need it */
		fi
#endif
	fi
}

/* The attempt has an outcome, and nothing of it is in the spool. */
inline fail(f) {
	end_attempt(f);
#ifdef FAILURE_ENDS_EARLIER_ATTEMPTS
	db.attempts = 0;
	db.attempts_resealed = 0;
#endif
	in_time = in_time & ~bit(f)
}

#ifdef REPLAY_DURING_ATTEMPT
#define other_under_way(f) false
#else
#define other_under_way(f) (leased & ~bit(f))
#endif
#ifdef REPLAY_COMPARES_NOTHING
#define may_replace(f) true
#elif defined(REPLAY_NOT_OVER_DEAD_GRANT)
#define may_replace(f) (has_spent_token(f) && !db.dead)
#else
#define may_replace(f) has_spent_token(f)
#endif

inline replay(f, answer) {
	/* P5 */
	assert(!(db.attempts & bit(f)) || !old_key_gone || (db.attempts_resealed & bit(f)));
	if
	:: !db.row -> answer = DELETED; forget_attempts()
	:: db.row && !((db.attempts & bit(f)) && may_replace(f)) ->
		answer = SUPERSEDED;
		end_attempt(f)
	:: else ->
		if
		:: other_under_way(f) -> answer = BUSY
		:: else -> write_row(f); answer = COMMITTED
		fi
	fi;
	if
#ifdef SUPERSEDED_NOT_FLUSHED
	:: answer == COMMITTED -> flush()
#else
	:: answer != BUSY -> flush()
#endif
	:: else
	fi
}

/* ---------------------------------------------------------------- provider */

inline rotate(f) {
#ifdef UNTIL_USED
	taken = (spent[f] <= ATTEMPTS -> taken & ~bit(spent[spent[f]]) : taken);
#elif defined(GRACE)
	ending = ending | bit(spent[f]);
#else
	taken = taken & ~bit(spent[f]);
#endif
	taken = taken | bit(f);
	other_grant = (other_grant & bit(spent[f]) -> other_grant | bit(f) : other_grant)
}

inline refuse(f) {
#ifndef REFUSES
	assert(given_up & bit(spent[f])); /* P1 */
	taken = (other_grant & bit(spent[f]) -> taken & ~other_grant : taken & other_grant)
#else
	skip
#endif
}

/* Nobody will ever see the answer to attempt f. */
inline give_up(f) {
#if !defined(UNTIL_USED) && !defined(EXCEPTS_NOTHING)
	given_up = given_up | bit(spent[f])
#else
	skip
#endif
}

/* ----------------------------------------------------------------- holders */

#ifdef WITHOUT_DEADLINE_CHECK
#define time_left(f) true
#else
#define time_left(f) (in_time & bit(f))
#endif

proctype Holder() {
	byte f, answer;

idle:
	atomic { may_begin -> begin(f) }

	/* It looks at the clock and sends. The lease outlasts the request: see Clock(). */
	if
	:: atomic { time_left(f) -> sent = sent | bit(f) }
	:: atomic { !time_left(f) -> fail(f); f = 0; goto idle } /* not_sent */
	:: atomic { f = 0; goto idle } /* killed, or begin's answer was lost */
	fi;

	atomic {
		sent = sent & ~bit(f);
		if
		:: taken & bit(spent[f]) ->
			if
			:: rotate(f); answered = answered | bit(f)
			:: rotate(f); give_up(f); goto no_answer
			:: goto no_answer      /* the request was lost */
			:: goto no_success     /* 503 */
			:: rotate(f); give_up(f); f = 0; goto idle /* killed */
			:: f = 0; goto idle
			fi
		:: else -> refuse(f); goto dead_grant
		fi
	}

	if
#ifndef WITHOUT_SPOOL
	:: atomic { answered = answered & ~bit(f); files = files | bit(f) }
#else
	:: true
#endif
	:: atomic { answered = answered & ~bit(f); give_up(f); f = 0; goto idle } /* killed */
	fi;

#ifdef FILE_DELETED_BEFORE_COMMIT
	files = files & ~bit(f);
#endif
	/* If it is killed, or the database restarts, before the commit or after: a replay. */
	if
	:: atomic { commit(f, answer); answered = answered & ~bit(f) }
	:: atomic { answered = answered & ~bit(f); f = 0; goto idle }
	fi;
	if
#ifdef SUPERSEDED_COMMIT_DELETES_FILE
	:: atomic { files = files & ~bit(f); f = 0; answer = 0 }
#else
	:: atomic { answer != SUPERSEDED -> files = files & ~bit(f); f = 0; answer = 0 }
#endif
	:: atomic { f = 0; answer = 0 }
	fi;
	goto idle;

no_answer:
	if
	:: atomic { in_time = in_time & ~bit(f); f = 0; goto idle }
	:: atomic { f = 0; goto idle }
	fi;
no_success:
	if
	:: atomic { fail(f); f = 0; goto idle }
	:: atomic { f = 0; goto idle }
	fi;
dead_grant:
	if
	:: atomic { db.dead = is_last(f) && has_spent_token(f); fail(f); f = 0; goto idle }
	:: atomic { f = 0; goto idle }
	fi
}

/* Hands in the files, at the start of a sidecar and later; killed before it deletes one. */
proctype Replayer() {
	byte f, answer;

	do
	:: atomic {
		files ->
		if
		:: files & bit(1) -> f = 1
		:: files & bit(2) -> f = 2
#if ATTEMPTS > 2
		:: files & bit(3) -> f = 3
#endif
		fi;
		replay(f, answer);
		if
		:: answer == BUSY -> f = 0; answer = 0
		:: else
		fi
	}
	if
	:: atomic { f -> files = files & ~bit(f); f = 0; answer = 0 }
	:: atomic { f = 0; answer = 0 }
	fi
	od
}

/* ------------------------------------------------------------------ others */

inline store() {
	db.row = 1;
	db.token = STORED;
	db.touched = 0;
	db.resealed = new_key;
	stored = 1;
	taken = taken | bit(STORED);
	other_grant = bit(STORED)
}

/* By our functions or by raw SQL, which leaves attempts as they are. Nothing is flushed. */
proctype Writer() {
	do
	:: atomic {
		changes < CHANGES ->
		changes++;
		if
		:: !stored -> store(); forget_attempts()
		:: !stored -> store()
		/* The refresh token stays: oauth_store() with NULL or with the same one, or raw SQL. */
		:: db.row && !db.touched -> db.touched = 1; db.resealed = new_key
#ifdef STORE_OF_SAME_TOKEN_FORGETS
		:: db.row && !db.touched -> db.touched = 1; db.resealed = new_key; forget_attempts()
#endif
		:: db.row -> db.row = 0; db.token = 0; db.touched = 0; db.resealed = 0; forget_attempts()
		:: db.row -> db.row = 0; db.token = 0; db.touched = 0; db.resealed = 0
		fi
	}
	od
}

/* A holder sends only if its lease lasts for the whole HTTP time-out. */
proctype Clock() {
	do
	:: atomic { (in_time & bit(1)) && !(sent & bit(1)) -> in_time = in_time & ~bit(1) }
	:: atomic { (in_time & bit(2)) && !(sent & bit(2)) -> in_time = in_time & ~bit(2) }
#if ATTEMPTS > 2
	:: atomic { (in_time & bit(3)) && !(sent & bit(3)) -> in_time = in_time & ~bit(3) }
#endif
#ifdef GRACE
	:: atomic {
		/* The lease of an attempt that was granted at once ends no later than the grace. */
		grace && !(at_once & sent) ->
		grace = 0;
#ifndef LEASE_OUTLASTS_GRACE
		in_time = in_time & ~at_once;
#endif
		at_once = 0
	}
	:: atomic { !grace && ending -> taken = taken & ~ending; ending = 0 }
#endif
	od
}

#ifdef ROTATES_KEYS
proctype KeyRotation() {
	new_key = 1;
	atomic {
		db.resealed = db.row;
#ifndef ROTATION_FORGETS_ATTEMPTS
		db.attempts_resealed = db.attempts;
#endif
		flush()
	}
	atomic {
#ifndef ROTATION_FORGETS_ATTEMPTS
		db.attempts_resealed == db.attempts && /* oauth_key_usage */
#endif
			(db.resealed || !db.row) ->
		old_key_gone = 1
	}
}
#endif

#ifdef DB_CRASH
proctype Crash() {
	do
	:: atomic { copy(db, disk) }
	od
}
#endif

#define is_kept ((taken | given_up) & bit(db.token))

proctype Reader() {
	do
	:: atomic { db.row && !sent && !answered && !files && !is_kept -> assert(is_kept) } /* P2 */
	od
}

init {
	atomic {
		byte i;
		db.row = 1;
		db.token = FIRST;
		taken = bit(FIRST);
		flush();
		for (i : 1 .. HOLDERS) {
			run Holder()
		}
		i = 0;
		run Replayer();
		run Writer();
		run Clock();
#ifdef ROTATES_KEYS
		run KeyRotation();
#endif
#ifdef DB_CRASH
		run Crash();
#endif
		run Reader()
	}
}

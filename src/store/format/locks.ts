/**
 * Where the locks lie. All are byte-range locks on the store file itself, on bytes far past its end (range locks are
 * mandatory on Windows), so that they can't be lost with a deleted or renamed lock file. The offsets are part of the
 * format: two builds with other offsets would be two writers.
 *
 * Starts are relative to LOCK_BASE = 2^62.
 */

/** The machine-wide writer lock. */
export const LOCK_WRITER = 0;
/** Held from before flush 1 to after flush 2 (and the publish). Always taken after the writer lock. */
export const LOCK_FLUSH = 1;
/** Shared by readers that can't write the coordination file, for as long as they read. */
export const LOCK_UNPINNED = 2;
/** Shared by whoever waits for the writer lock: who has just held that lock and sees this one held lets the others go first. */
export const LOCK_WAITING = 3;
/** Presence: a handle shares the byte LOCK_PRESENCE + nonce while it is open. */
export const LOCK_PRESENCE = 2 ** 32;
/** Nonces are 1 … LOCK_PRESENCE_LENGTH - 1. The first byte is shared by who is joining and does not know the nonce yet. */
export const LOCK_PRESENCE_LENGTH = 2 ** 32;
/** In the coordination file: a handle holds the byte LOCK_OWNER + its owner index exclusively. */
export const LOCK_OWNER = 0;

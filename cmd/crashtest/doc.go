// Package crashtest holds the tests that treat triagebot as the world does: the
// built program as a process of its own, killed at random instants, run twice
// on one database, and flooded. What must hold is read from its database and
// from the channel that people see.
//
// The tests print the seed of their chance; TRIAGEBOT_CRASH_SEED repeats it.
package crashtest

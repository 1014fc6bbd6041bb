// Package bench holds the measurements of triagebot as a whole, as Go
// benchmarks: how many notifications it writes down and folds, how soon the
// first finding stands in the channel, how much memory it has, and how soon it
// is back after a restart. What one package does alone is measured there.
//
// Each benchmark measures its yardstick in the same run and reports the ratio,
// for absolute figures of a shared machine say little. docs/performance.md has
// the last figures and how to repeat them.
package bench

// Package evidence keeps an incident's artifacts: it redacts secrets in them,
// stores them in a bundle (one folder per incident), chains them by hash,
// writes the manifest, report and timeline beside them, proves a bundle whole
// and hands out links to its files.
//
// The way of an artifact: Store.Stage redacts and writes it durably; the
// store's transaction chains it with Chain and commits the row; Store.Publish
// writes the derived files from committed rows; Verify checks the result.
package evidence

// Escaping: an id is somebody else's text and must stay one string in a query.

package backend

import (
	"strconv"
	"strings"
)

// quote writes s as a string literal in double quotes and in ASCII. All three
// languages read Go's: LogQL (pkg/logql/syntax/lex.go: strutil.Unquote after
// text/scanner), TraceQL (pkg/traceql/lexer.go: strconv.Unquote) and LogsQL
// (lib/logstorage/parser.go: strconv.QuotedPrefix and Unquote). In ASCII no
// scanner can stumble over invalid UTF-8, a NUL or a byte order mark.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// plainID says whether an id stands in JSON as it is, whoever wrote it, so that
// a line can be searched for its bytes. Encoders escape quotes and control
// characters, some the slash, "<", ">", "&" and everything beyond ASCII.
func plainID(id string) bool {
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
	})
}

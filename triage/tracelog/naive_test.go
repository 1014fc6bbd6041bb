// What a lookup must equal: every line of every file, parsed.

package tracelog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// naiveFind are the offsets of an id's lines in a log, by reading all of it.
func naiveFind(source *Source, log []byte, id string) (offsets []int64) {
	for start := 0; start < len(log); {
		line := log[start:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		if len(line) <= source.Cap() {
			if _, _, ok := source.Read(line, id); ok {
				offsets = append(offsets, int64(start))
			}
		}
		start += len(line) + 1
	}
	return offsets
}

// nasty makes logs with whatever logs have been seen to hold.
type nasty struct {
	*rand.Rand
	at time.Time
}

func newNasty(seed uint64) *nasty {
	return &nasty{rand.New(rand.NewPCG(seed, 7)), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
}

// nastyIDs are prefixes of each other, numbers, and what JSON escapes.
var nastyIDs = []string{"req_1", "req_12", "req_123", "1", "12", "a/b", `q"q`, `back\slash`, "é", "日本", "req 1", "<b>", "/", "0"}

func (n *nasty) id() string { return nastyIDs[n.IntN(len(nastyIDs))] }

func (n *nasty) log(lines int) []byte {
	var b bytes.Buffer
	for range lines {
		n.at = n.at.Add(time.Duration(n.IntN(2000)) * time.Millisecond)
		b.WriteString(n.line())
		b.WriteString([]string{"\n", "\n", "\n", "\r\n"}[n.IntN(4)])
	}
	if n.IntN(3) == 0 && b.Len() > 0 {
		b.Truncate(b.Len() - 1 - n.IntN(min(b.Len(), 20)))
	}
	return b.Bytes()
}

func (n *nasty) line() string {
	id := n.id()
	ts := n.at.Format(time.RFC3339Nano)
	switch n.IntN(16) {
	case 0:
		return fmt.Sprintf(`{"ts":%q,"req_id": %s ,"n":1}`, ts, n.quoted(id))
	case 1:
		return fmt.Sprintf(`{"ts":%q,"msg":"about %s only","req_id":"other"}`, ts, strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(id))
	case 2:
		return fmt.Sprintf(`{"req_id":"other","ts":%q,"req_id":%s}`, ts, n.quoted(id)) // the last one counts
	case 3:
		return fmt.Sprintf(`{"req_id":%s,"ts":%q,"req_id":"other"}`, n.quoted(id), ts)
	case 4:
		return fmt.Sprintf(`{"ctx":{"req_id":%s},"ts":%q}`, n.quoted(id), ts)
	case 5:
		return fmt.Sprintf(`{"ts":%q,"req\u005fid":%s}`, ts, n.quoted(id))
	case 6:
		return fmt.Sprintf(`{"ts":%q,"req_id":%s`, ts, n.quoted(id)) // torn
	case 7:
		return fmt.Sprintf(`{"ts":%q,"req_id":%s}{"req_id":"other"}`, ts, n.quoted(id))
	case 8:
		return "\x00\x00" + fmt.Sprintf(`{"ts":%d,"req_id":%s}`, n.at.UnixMilli(), n.quoted(id)) + "\x00"
	case 9:
		return ""
	case 10:
		return fmt.Sprintf(`{"ts":%q,"req_id":%d,"span":{"trace":{"id":%s}}}`, ts, n.IntN(130), n.quoted(id))
	case 11:
		return fmt.Sprintf(`{"ts":%q,"retry_of":%s,"req_id":"other"}`, ts, n.quoted(id))
	case 12:
		return fmt.Sprintf(`{"ts":%q,"pad":%q,"req_id":%s}`, ts, strings.Repeat("x", n.IntN(3000)), n.quoted(id))
	case 13:
		return fmt.Sprintf("{\"ts\":%q,\"bad\":\"\xff\xfe\",\"req_id\":%s}", ts, n.quoted(id))
	case 14:
		return fmt.Sprintf(`["req_id",%s]`, n.quoted(id))
	default:
		return fmt.Sprintf(`{"ts":%q,"req_id":%s,"status":%d,"latency_ms":%d.5}`, ts, n.quoted(id), 200+n.IntN(2)*300, n.IntN(900))
	}
}

// quoted writes a string as JSON in one of the many ways that there are.
func (n *nasty) quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	escapes := n.IntN(4)
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '/' && n.IntN(2) == 0:
			b.WriteByte('\\')
			b.WriteRune(r)
		case escapes == 0 && n.IntN(3) == 0 && r < 0x10000:
			fmt.Fprintf(&b, []string{`\u%04x`, `\u%04X`}[n.IntN(2)], r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// naiveTooLong says whether a log has a line that is too long to be read.
func naiveTooLong(source *Source, log []byte) bool {
	return slices.ContainsFunc(bytes.Split(log, []byte("\n")), func(line []byte) bool { return len(line) > source.Cap() })
}

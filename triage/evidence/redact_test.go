package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zricethezav/gitleaks/v8/config"
)

// Sample credentials are put together here so that scanners of this
// repository do not take them for real ones.
var (
	sampleJWT    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	sampleAWS    = "AKIA" + "Z7QX4M2NPLKD3WRT"
	sampleSlack  = "xoxb-" + "123456789012-1234567890123-" + "AbCdEfGhIjKlMnOpQrStUvWx"
	sampleGitHub = "ghp_" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5"
	sampleHook   = "https://hooks.slack.com/services/" + "T01234567/B01234567/" + "AbCdEfGhIjKlMnOpQrStUvWx"
	samplePEM    = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAx2bN\nq1mZ+/8=\n-----END RSA " + "PRIVATE KEY-----"
)

func TestKnownSecretsAreMasked(t *testing.T) {
	r := NewRedactor()
	for _, tc := range []struct{ name, in, want string }{
		{"json password", `{"user":"bob","password":"hunter2"}`, `{"user":"bob","password":"<redacted:password>"}`},
		{"json number", `{"password": 12345, "n": 1}`, `{"password": "<redacted:password>", "n": 1}`},
		{"json spaced", `{"api_key" : "abc def"}`, `{"api_key" : "<redacted:api-key>"}`},
		{"json camel case", `{"clientSecret":"s3cr3t","dbPass":"x1"}`, `{"clientSecret":"<redacted:secret>","dbPass":"<redacted:password>"}`},
		{"json escaped quote", `{"password":"a\"b","x":"y"}`, `{"password":"<redacted:password>","x":"y"}`},
		{"json backslash at the end", `{"password":"a\\","x":"y"}`, `{"password":"<redacted:password>","x":"y"}`},
		{"json in json", `{"body":"{\"token\":\"abc\",\"n\":1}"}`, `{"body":"{\"token\":\"<redacted:token>\",\"n\":1}"}`},
		{"json number in json in json", `{"body":"{\"token\":17}"}`, `{"body":"{\"token\":\"<redacted:token>\"}"}`},
		{"json list of cookies", `{"Set-Cookie":["sid=abc; Path=/","t=1"],"Date":["x"]}`, `{"Set-Cookie":["<redacted:cookie>","<redacted:cookie>"],"Date":["x"]}`},
		{"json nested", `{"credentials":{"user":"bob","n":5,"on":true},"ok":1}`, `{"credentials":{"user":"<redacted:credential>","n":"<redacted:credential>","on":true},"ok":1}`},
		{"json header keeps its scheme", `{"Authorization":"Bearer abc123def"}`, `{"Authorization":"Bearer <redacted:authorization>"}`},
		{"json as Go escapes it", `{"url":"/x?token=abc\u0026page=2"}`, `{"url":"/x?token=<redacted:token>\u0026page=2"}`},
		{"header lines", "GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYXNz\r\nCookie: a=\"b c\"; d=e\r\nX-Api-Key: k 1\r\nAccept: */*", "GET / HTTP/1.1\r\nAuthorization: Basic <redacted:authorization>\r\nCookie: <redacted:cookie>\r\nX-Api-Key: <redacted:api-key>\r\nAccept: */*"},
		{"digest header", `Authorization: Digest username="bob", response="6629"`, `Authorization: Digest <redacted:authorization>`},
		{"headers in a json string", `{"raw":"GET /\r\nAuthorization: Bearer abc.def\r\nHost: h"}`, `{"raw":"GET /\r\nAuthorization: Bearer <redacted:authorization>\r\nHost: h"}`},
		{"curl header", `curl -H 'Cookie: a="b"; c=d' -H "X-Auth-Token: t0k" http://h/`, `curl -H 'Cookie: <redacted:cookie>' -H "X-Auth-Token: <redacted:token>" http://h/`},
		{"curl -v", "> Authorization: token abc\n> Host: h", "> Authorization: token <redacted:authorization>\n> Host: h"},
		{"query", `GET /login?user=bob&password=hunter2&next=/ 200`, `GET /login?user=bob&password=<redacted:password>&next=/ 200`},
		{"query in a query", `/r?u=%2Flogin%3Ftoken%3Dabc%26x%3D1`, `/r?u=%2Flogin%3Ftoken%3D<redacted:token>%26x%3D1`},
		{"form", `password=a&b;c&user=bob`, `password=<redacted:password>&user=bob`},
		{"signed link", `https://h/f?exp=1&sig=AbC-1`, `https://h/f?exp=1&sig=<redacted:signature>`},
		{"presigned s3", `https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=fe5f80`, `https://b.s3.amazonaws.com/k?X-Amz-Credential=<redacted:credential>&X-Amz-Signature=<redacted:signature>`},
		{"logfmt", `level=info token=abc msg="token refreshed"`, `level=info token=<redacted:token> msg="token refreshed"`},
		{"log line", `auth failed password: hunter2 for bob`, `auth failed password: <redacted:password> for bob`},
		{"environment", "DB_PASSWORD=a,b;c\nDB_HOST=h", "DB_PASSWORD=<redacted:password>\nDB_HOST=h"},
		{"dsn", `host=db password='it''s' user=x`, `host=db password='<redacted:password>' user=x`},
		{"yaml", "db:\n  password: correct horse battery\n  host: db", "db:\n  password: <redacted:password>\n  host: db"},
		{"go", `secret := "abc"`, `secret := "<redacted:secret>"`},
		{"ruby", `{"password"=>"abc"}`, `{"password"=>"<redacted:password>"}`},
		{"python", `{'token': 'abc', 'n': 1}`, `{'token': '<redacted:token>', 'n': 1}`},
		{"url", `dial postgres://app:s3cr3t@db:5432/app failed`, `dial postgres://app:<redacted:url-password>@db:5432/app failed`},
		{"url with an at sign", `https://u:p@ss@h/x`, `https://u:<redacted:url-password>@h/x`},
		{"url with a slash", `https://u:p/a?ss@h/x`, `https://u:<redacted:url-password>@h/x`},
		{"url in php's json", `{"u":"https:\/\/u:pw@h\/"}`, `{"u":"https:\/\/u:<redacted:url-password>@h\/"}`},
		{"url without user", `redis://:pw@h`, `redis://:<redacted:url-password>@h`},
		{"bearer in prose", `sent bearer abcdef123456, got 401`, `sent bearer <redacted:authorization>, got 401`},
		{"basic in prose", `sent Basic dXNlcjpwYXNz.`, `sent Basic <redacted:authorization>.`},
		{"jwt", `got ` + sampleJWT + `, fine`, `got <redacted:jwt>, fine`},
		{"jwt in a query", `/x?j=` + sampleJWT + `&y=1`, `/x?j=<redacted:jwt>&y=1`},
		{"url in a query", `/graph?g0.expr=up%7Binstance%3D%22https%3A%2F%2Fadmin%3Ahunter2%40db%2Fhealth%22%7D&g0.tab=1`, `/graph?g0.expr=up%7Binstance%3D%22https%3A%2F%2Fadmin%3A<redacted:url-password>%40db%2Fhealth%22%7D&g0.tab=1`},
		{"url in a query in a query", `next=%2Fx%3Fu%3Dhttps%253A%252F%252Fu%253Ahunter2%2540h`, `next=%2Fx%3Fu%3Dhttps%253A%252F%252Fu%253A<redacted:url-password>%2540h`},
		{"encoded password", `https://u:p%40ss%2Fword@h/x`, `https://u:<redacted:url-password>@h/x`},
		{"encoded bearer", `x=%22Bearer%20abc123def456%22&y`, `x=%22Bearer%20<redacted:authorization>%22&y`},
		{"encoded cookie", `x=%22Cookie%3A%20sid%3Dabc123%3B%20t%3D1%22&y=2`, `x=%22Cookie%3A%20<redacted:cookie>%22&y=2`},
		{"encoded selector", `filter=%7Bapi_key%3D%22k%2B1+2%22%2Cjob%3D%22a%22%7D`, `filter=%7Bapi_key%3D%22<redacted:api-key>%22%2Cjob%3D%22a%22%7D`},
		{"json as a form encodes it", `b=%7B%22password%22%3A+%22hunter2%22%7D`, `b=%7B%22password%22%3A+%22<redacted:password>%22%7D`},
		{"encoded within json", `{"u":"/r?u=https%3A%2F%2Fu%3Ahunter2%40h\u0026x=1"}`, `{"u":"/r?u=https%3A%2F%2Fu%3A<redacted:url-password>%40h\u0026x=1"}`},
		{"encoded without end", `%25252541 and ` + "%2525252541b%20 c", `%25252541 and <redacted:too-deep>%20 c`},
		{"aws", `key ` + sampleAWS + ` used`, `key <redacted:aws-access-token> used`},
		{"slack", `{"t":"` + sampleSlack + `"}`, `{"t":"<redacted:slack-bot-token>"}`},
		{"github", `clone with ` + sampleGitHub + ` failed`, `clone with <redacted:github-pat> failed`},
		{"slack webhook", `post ` + sampleHook + ` 404`, `post <redacted:slack-webhook-url> 404`},
		{"private key", "a\n" + samplePEM + "\nb", "a\n<redacted:private-key>\nb"},
		{"private key in json", `{"k":"` + strings.ReplaceAll(samplePEM, "\n", `\n`) + `\n","z":1}`, `{"k":"<redacted:private-key>\n","z":1}`},
		{"private key split over json strings", `{"k":["-----BEGIN ` + `PRIVATE KEY-----","MIIE","-----END ` + `PRIVATE KEY-----"]}`, `{"k":["<redacted:private-key>","MIIE","-----END ` + `PRIVATE KEY-----"]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, n := r.RedactString(tc.in)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("redacted (-want +got):\n%s", diff)
			}
			if want := strings.Count(tc.want, "<redacted:"); n != want {
				t.Errorf("counted %d secrets, masked %d", n, want)
			}
			if json.Valid([]byte(tc.in)) && !json.Valid([]byte(got)) {
				t.Errorf("JSON before, none after: %s", got)
			}
			if again, n := r.RedactString(got); again != got || n != 0 {
				t.Errorf("a second pass masked %d more: %s", n, again)
			}
		})
	}
}

func TestSecretsThatAreCutOffAreMasked(t *testing.T) {
	r := NewRedactor()
	for _, tc := range []struct{ name, in, want string }{
		{"json", `{"password":"hunt`, `{"password":"<redacted:password>`},
		{"json in json", `{"b":"{\"password\":\"hunt`, `{"b":"{\"password\":\"<redacted:password>`},
		{"query", `/x?token=ab`, `/x?token=<redacted:token>`},
		{"header", `Authorization: Bearer ab`, `Authorization: Bearer <redacted:authorization>`},
		{"url", `see https://bob:hunt`, `see https://bob:<redacted:url-password>`},
		{"jwt's second part", `got ` + sampleJWT[:50], `got <redacted:jwt>`},
		{"jwt's first part", `got ` + sampleJWT[:20], `got <redacted:cut-off>`},
		{"slack", `got ` + sampleSlack[:20], `got <redacted:cut-off>`},
		{"slack webhook", sampleHook[:45], `https://hooks.slack.com/services/<redacted:slack-webhook-url>`},
		{"aws", `got ` + sampleAWS[:12], `got <redacted:cut-off>`},
		{"aws within a text", `got "` + sampleAWS[:12] + `…" from h`, `got "<redacted:cut-off>…" from h`},
		{"url within a text", `up{instance="https://admin:hunt…", job="a"}`, `up{instance="https://admin:<redacted:url-password>", job="a"}`},
		{"encoded url", `see https%3A%2F%2Fbob%3Ahunt`, `see https%3A%2F%2Fbob%3A<redacted:url-password>`},
		{"github", `got ` + sampleGitHub[:15], `got <redacted:cut-off>`},
		{"private key", samplePEM[:60], `<redacted:private-key>`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, _ := r.RedactString(tc.in); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	r := NewRedactor()
	for _, text := range []string{
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"codex_http_latency_ms","route":"/v1/chat/completions"},"value":[1764000000.123,"0.25"]}]}}`,
		`histogram_quantile(0.95, sum by (le,route) (rate(codex_http_latency_ms_bucket{route="/v1/chat/completions",token=~"a|b",cookie!=""}[5m])))`,
		`sum(rate(codex_auth_failures_total{secret==""}[5m])) > 0.05`,
		`{"request_id":"0f8fad5b-d9cb-469f-a165-70867728950e","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","auth_request_id":"req_8Zk2LqW91xYv"}`,
		`sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		`{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,"max_tokens":1024,"token_count":7}`,
		`{"usage":{"tokens":{"input":5}},"password_policy":"strong","secret_version":3,"has_password":true}`,
		`{"password":null,"token":"","secret":false}`,
		`http://localhost:9090/graph?g0.expr=up&g0.tab=1`,
		`https://grafana.example:3000/d/abc?var-route=%2Fv1%2Fchat`,
		`http://[::1]:9090/metrics and http://10.0.0.1:8080`,
		`http://prometheus:9090`,
		`mail bob@example.org at 10:15, ratio 3:2@noon`,
		`uses basic authentication and bearer authentication; tokens expire`,
		`# TYPE codex_worker_backoff_ms gauge` + "\ncodex_worker_backoff_ms{worker=\"3\"} 1500\n",
		`2026-11-24T04:00:00.000Z level=info msg="done" took=12ms bypass=true compass=north`,
		`std::string token::parse secret://vault/path`,
		`scrape config: bearer_token_file=/etc/x is a path`,
		`password=*** token=<secret>`,
		`http://prometheus:9090/graph?g0.expr=up%7Binstance%3D%22a%3A9090%22%7D+%3D%3D+0&g0.tab=1`,
		`http://alertmanager:9093/#/silences/new?filter=%7Balertname%3D%22Slow%22%2Ctarget%3D%22https%3A%2F%2Fdb.internal%3A8443%2Fhealth%22%7D`,
		`100% of 20%ab and %2525 of %zz, 5%`,
		`up{instance="http://host:80…"}`,
		`the key is under the mat; the secret of success`,
	} {
		if got, n := r.RedactString(text); got != text || n != 0 {
			t.Errorf("masked %d:\n got %s\nfrom %s", n, got, text)
		}
	}
}

func TestAPictureIsLeftAlone(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\npassword=hunter2")
	if got, n := NewRedactor().Redact(png, "image/png"); !bytes.Equal(got, png) || n != 0 {
		t.Errorf("masked %d in a picture: %q", n, got)
	}
	if _, n := NewRedactor().Redact([]byte(`<svg><!-- password=hunter2 --></svg>`), "image/svg+xml"); n != 1 {
		t.Errorf("masked %d in an SVG, which is text, want 1", n)
	}
}

func TestATextTooLongToSearchIsNotPassedOn(t *testing.T) {
	got, n := NewRedactor().Redact(make([]byte, MaxRedact+1), "text/plain")
	if string(got) != "<redacted:too-long>" || n != 1 {
		t.Errorf("got %.40q and %d", got, n)
	}
}

// gitleaks' rules are text that comes with its module; an update must not
// break them unseen.
func TestEveryVendorRuleCompiles(t *testing.T) {
	set, err := parseRules(config.DefaultConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.rules {
		if re := r.pattern(); r.group > re.NumSubexp() {
			t.Errorf("rule %s: its secret is group %d of %d", r.id, r.group, re.NumSubexp())
		}
		for _, l := range r.allowed {
			l.regexes()
		}
	}
	for _, l := range set.allowed {
		l.regexes()
	}
	if len(set.rules) < 200 {
		t.Errorf("only %d rules are in use", len(set.rules))
	}
	for _, id := range leftOut {
		if !strings.Contains(config.DefaultConfig, `id = "`+id+`"`) {
			t.Errorf("rule %s is left out but does not exist", id)
		}
	}
}

// A token far from any other word of its vendor, in a text of many windows.
func TestVendorTokensAreFoundAnywhereInALongText(t *testing.T) {
	filler := strings.Repeat("nothing to see here, github or not\n", 2000)
	text := filler + sampleGitHub + "\n" + strings.Repeat("x ", 40000) + sampleSlack + "\n" + filler + sampleAWS
	got, n := NewRedactor().RedactString(text)
	want := filler + "<redacted:github-pat>\n" + strings.Repeat("x ", 40000) + "<redacted:slack-bot-token>\n" + filler + "<redacted:aws-access-token>"
	if got != want || n != 3 {
		t.Errorf("masked %d, want 3", n)
	}
}

func TestARuleSetThatIsNoneIsAnError(t *testing.T) {
	for _, text := range []string{"[[rules", "title = 'x'"} {
		if _, err := parseRules(text); err == nil {
			t.Errorf("%q was taken for rules", text)
		}
	}
}

// carriers are the places in which FuzzRedact hides a secret.
var carriers = []string{
	`{"a":%[2]q,"password":%[1]q,"b":1}`,
	`{"body":"{\"token\":\"%[1]s\"}","x":%[2]q}`,
	"%[2]s\nAuthorization: Bearer %[1]s\nHost: h",
	"%[2]s\n/x?y=1&api_key=%[1]s&z=2",
	"%[2]s\npostgres://app:%[1]s@db/app %[2]s",
	"%[2]s\nCookie: sid=%[1]s; theme=dark",
	`%[2]s "X-Api-Key: %[1]s" `,
	"%[2]s\ndb_password=%[1]s",
	`{db_password="%[1]s",job="a"}`,
	`"Bearer %[1]s1"`,
	`x{instance="https://admin:%[1]s@db/health"}`,
}

// However often what holds a secret is percent-encoded, and whatever stands
// around it, the secret does not come out.
func FuzzRedactEncoded(f *testing.F) {
	for i := range carriers {
		for times := range 4 {
			f.Add("hunter2hunter2", "a text", uint8(i), uint8(times), "http://h/g?q=", "&tab=1")
		}
	}
	f.Add("S3cr3tS3cr3t", "+%41", uint8(0), uint8(1), "%3Cx", "%")
	f.Add("S3cr3tS3cr3t", "'<>'", uint8(9), uint8(2), "\\", "+")
	r := NewRedactor()
	f.Fuzz(func(t *testing.T, secret, around string, carrier, times uint8, before, after string) {
		secret = strings.Map(func(c rune) rune {
			if c < 0x80 && isAlnum(byte(c)) {
				return c
			}
			return -1
		}, secret)
		if len(secret) < 12 || len(around)+len(before)+len(after) > 2048 {
			return
		}
		text := fmt.Sprintf(carriers[int(carrier)%len(carriers)], secret, around)
		if strings.Count(text, secret) != 1 || strings.Contains(before+after, secret) {
			return
		}
		for range times % 3 {
			if carrier&0x80 == 0 {
				text = url.QueryEscape(text)
			} else {
				text = url.PathEscape(text)
			}
		}
		// The link ends where it ends: what is glued to it would be part of it.
		for _, link := range []string{text, before + " " + text + " " + after, "http://h/g?q=" + text + "&tab=1"} {
			got, n := r.RedactString(link)
			if strings.Contains(got, secret) {
				t.Errorf("the secret %s is still there:\n%q\nfrom %q", secret, got, link)
			}
			if n == 0 && got != link {
				t.Errorf("changed without a count: %q", got)
			}
		}
	})
}

func FuzzRedact(f *testing.F) {
	for i := range carriers {
		f.Add("hunter2hunter2", "some text", uint8(i), uint16(60))
	}
	f.Add("S3cr3tS3cr3t", `\"{[`, uint8(0), uint16(20))
	f.Add("S3cr3tS3cr3t", `"token":[[[{"`, uint8(2), uint16(5))
	f.Add("S3cr3tS3cr3t", "\xff\xfe://a:b", uint8(4), uint16(1000))
	r := NewRedactor()
	f.Fuzz(func(t *testing.T, secret, around string, carrier uint8, cut uint16) {
		// The secret is a plain word, long enough to be found by chance nowhere
		// else: what may hide it is the text around it.
		secret = strings.Map(func(c rune) rune {
			if c < 0x80 && isAlnum(byte(c)) {
				return c
			}
			return -1
		}, secret)
		if len(secret) < 12 || len(around) > 4096 {
			return
		}
		text := fmt.Sprintf(carriers[int(carrier)%len(carriers)], secret, around)
		if strings.Count(text, secret) != 1 {
			return
		}
		wasJSON := json.Valid([]byte(text))
		got, n := r.RedactString(text)
		if strings.Contains(got, secret) {
			t.Errorf("the secret %s is still there:\n%q\nfrom %q", secret, got, text)
		}
		if n == 0 && got != text {
			t.Errorf("changed without a count: %q", got)
		}
		if wasJSON && !json.Valid([]byte(got)) {
			t.Errorf("JSON before, none after:\n%q\nfrom %q", got, text)
		}
		if again, n := r.RedactString(got); again != got || n != 0 {
			t.Errorf("a second pass masked %d more:\n%q\nfrom %q", n, again, got)
		}
		r.RedactString(text[:min(len(text), int(cut))])
	})
}

func BenchmarkRedact(b *testing.B) {
	metrics := `{"metric":{"__name__":"codex_http_latency_ms_bucket","route":"/v1/chat/completions","le":"0.5"},"value":[1764000000.123,"12345"]},`
	logs := `{"ts":"2026-11-24T04:00:00.123Z","level":"info","request_id":"0f8fad5b-d9cb-469f-a165-70867728950e","msg":"done","took_ms":12,"headers":{"Authorization":"Bearer abc123"},"key":"v"}` + "\n"
	for _, bc := range []struct {
		name, unit string
		size       int
	}{{"metrics/64KiB", metrics, 64 << 10}, {"metrics/1MiB", metrics, 1 << 20}, {"logs/64KiB", logs, 64 << 10}, {"logs/1MiB", logs, 1 << 20}} {
		b.Run(bc.name, func(b *testing.B) {
			text := []byte(strings.Repeat(bc.unit, bc.size/len(bc.unit)))
			r := NewRedactor()
			r.Redact(text, "") // rules are compiled once
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r.Redact(text, "")
			}
		})
	}
}

// Texts made to be slow must take time in proportion to their length: compare
// the MB/s of the two sizes.
func BenchmarkRedactHostile(b *testing.B) {
	for name, unit := range map[string]string{
		"urls": "a://", "cookies": "cookie:", "fields": "token=", "nested": `"token":[`, "quotes": `token='`,
		"escapes": `{\"token\":\"a\"}`, "encoded": "%20a+", "words": "%20a+ ", "deep": "%2525252525", "marks": "%41<redacted:x>", "cut": "sk-abcdef…", "begin": "-----BEGIN ", "bearer": "bearer ", "vendor": "github_pat_",
	} {
		for _, size := range []int{16 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				text := []byte(strings.Repeat(unit, size/len(unit)))
				r := NewRedactor()
				r.Redact(text, "")
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					r.Redact(text, "")
				}
			})
		}
	}
}

func BenchmarkNewRuleSet(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newRuleSet()
	}
}

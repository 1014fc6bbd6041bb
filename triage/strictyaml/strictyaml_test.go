package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

type server struct {
	Listen  string         `yaml:"listen"`
	Port    int            `yaml:"port"`
	Timeout model.Duration `yaml:"timeout"`
	Verbose bool           `yaml:"verbose"`
	Tags    []string       `yaml:"tags"`
	secret  string         //nolint:unused // stands for fields that are no keys
}

type shared struct {
	Name string `yaml:"name"`
}

type file struct {
	shared  `yaml:",inline"`
	Server  server                       `yaml:"server"`
	Backup  *server                      `yaml:"backup"`
	Hosts   map[string]server            `yaml:"hosts"`
	List    []server                     `yaml:"list"`
	HTTP    *promconfig.HTTPClientConfig `yaml:"http_config"`
	Step    yaml.Node                    `yaml:"step"`
	Ratio   float64                      `yaml:"ratio"`
	Skipped string                       `yaml:"-"`
}

func decodeText(text string, into any) Problems {
	root, problems := Parse("f.yaml", []byte(text))
	if problems != nil {
		return problems
	}
	return append(problems, Decode("f.yaml", "", root, into)...)
}

func TestDecodeSetsWhatIsRightAndKeepsDefaults(t *testing.T) {
	got := file{Server: server{Listen: ":80", Port: 80, Timeout: model.Duration(time.Second)}, Ratio: 0.5}
	problems := decodeText(`
server: {port: 81, tags: [a, b]}
backup:
hosts: {one: {port: 1}}
list: [{port: 2}, {port: 3}]
ratio:
step: {any: thing}
`, &got)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got.Step.Kind != yaml.MappingNode {
		t.Error("a node was not kept for later")
	}
	got.Step = yaml.Node{}
	want := file{
		Server: server{Listen: ":80", Port: 81, Timeout: model.Duration(time.Second), Tags: []string{"a", "b"}},
		Hosts:  map[string]server{"one": {Port: 1}},
		List:   []server{{Port: 2}, {Port: 3}}, Ratio: 0.5,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(server{}, file{})); diff != "" {
		t.Error(diff)
	}
}

func TestEveryProblemIsReportedWithItsLineAndKey(t *testing.T) {
	const known = "listen, port, tags, timeout, verbose"
	tests := []struct{ name, text, want string }{
		{"not YAML", "a: [", "f.yaml:1: not YAML: did not find expected node content"},
		{"no mapping", "- a", "f.yaml:1: must be a mapping of keys to values"},
		{"two documents", "name: a\n---\nname: b", "f.yaml: holds more than one YAML document; split it into files"},
		{"an unknown key", "server: {lisen: x}", `f.yaml:1: server.lisen: unknown key; did you mean "listen"?; known are ` + known},
		{"a field that is no key", "server: {secret: x}", "f.yaml:1: server.secret: unknown key; known are " + known},
		{"a repeated key", "server:\n  port: 1\n  port: 2", "f.yaml:3: server.port: stands twice; first on line 2"},
		{"no number", "server: {port: many}", `f.yaml:1: server.port: "many" is no whole number`},
		{"a part of a number", "server: {port: 0.5}", `f.yaml:1: server.port: "0.5" is no whole number`},
		{"no boolean", "server: {verbose: loud}", `f.yaml:1: server.verbose: "loud" is neither true nor false`},
		{"no duration", "server: {timeout: soon}", `f.yaml:1: server.timeout: "soon" is no duration; write 30s, 5m or 2h`},
		{"a list for a duration", "server: {timeout: [1s]}", "f.yaml:1: server.timeout: a list is no duration; write 30s, 5m or 2h"},
		{"a mapping for a text", "name: {a: b}", "f.yaml:1: name: a mapping is no text"},
		{"no float", "ratio: half", `f.yaml:1: ratio: "half" is no number`},
		{"a text for a mapping", "server: here", `f.yaml:1: server: "here" stands where a mapping of keys to values is wanted; known keys are ` + known},
		{"a text for a list", "list: here", `f.yaml:1: list: "here" stands where a list is wanted; write each item on a line of its own as - item`},
		{"a list for a map", "hosts: [a]", "f.yaml:1: hosts: a list stands where a mapping of keys to values is wanted"},
		{"deep in a list", "list:\n- {port: 1}\n- {prot: 1}", `f.yaml:3: list[1].prot: unknown key; did you mean "port"?; known are ` + known},
		{"deep in a map", "hosts:\n  one:\n    port: x", `f.yaml:3: hosts.one.port: "x" is no whole number`},
		{"behind a pointer", "backup: {port: x}", `f.yaml:1: backup.port: "x" is no whole number`},
		{"a merge key", "backup: &b {port: 1}\nserver: {<<: *b}", "f.yaml:2: server.<<: merge keys are not supported; write the keys out"},
		{"an alias", "backup: &b {port: x}\nserver: *b", "f.yaml:1: backup.port: \"x\" is no whole number\nf.yaml:1: server.port: \"x\" is no whole number"},
		{"a key that is a list", "? [a]\n: b", "f.yaml:1: a key must be a plain text"},
		{"within a type that decodes itself", "http_config: {basic_auth: {user: x}}", `f.yaml:1: http_config.basic_auth.user: unknown key; known are password, password_file, password_ref, username, username_file, username_ref`},
		{"refused by a type that decodes itself", "name: a\nhttp_config: {authorization: {type: basic}}\nratio: x", `f.yaml:2: http_config: authorization type cannot be set to "basic", use "basic_auth" instead` + "\n" + `f.yaml:3: ratio: "x" is no number`},
		{"of a wrong type within one", "http_config:\n  follow_redirects: maybe", "f.yaml:2: http_config.follow_redirects: text `maybe` is neither true nor false"},
		{"several", "server: {port: x, verbose: loud}\nratio: z\nnam: q", strings.Join([]string{
			`f.yaml:1: server.port: "x" is no whole number`,
			`f.yaml:1: server.verbose: "loud" is neither true nor false`,
			`f.yaml:2: ratio: "z" is no number`,
			`f.yaml:3: nam: unknown key; did you mean "name"?; known are backup, hosts, http_config, list, name, ratio, server, step`,
		}, "\n")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := decodeText(test.text, new(file)).Err()
			if err == nil {
				t.Fatal("no problem was found")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAWrongValueDoesNotHinderTheOthers(t *testing.T) {
	var got file
	if problems := decodeText("server: {port: x, listen: ':1'}\nname: n", &got); len(problems) != 1 {
		t.Fatal(problems)
	}
	if got.Server.Listen != ":1" || got.Name != "n" {
		t.Errorf("got %+v", got)
	}
}

func TestAnEmptyFileIsAnEmptyMapping(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "\n\n"} {
		root, problems := Parse("f.yaml", []byte(text))
		if len(problems) > 0 || root.Kind != yaml.MappingNode {
			t.Errorf("%q: %v, %v", text, root, problems)
		}
	}
}

func TestErrSortsByFileAndLineAndIsNilWithoutProblems(t *testing.T) {
	if err := (Problems{}).Err(); err != nil {
		t.Error(err)
	}
	err := Problems{{File: "b", Line: 1, Text: "x"}, {File: "a", Line: 9, Text: "y"}, {File: "a", Line: 2, Key: "k", Text: "z"}}.Err()
	if got, want := err.Error(), "a:2: k: z\na:9: y\nb:1: x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Error("the error is not the problems")
	}
}

func TestLineFindsTheNearest(t *testing.T) {
	root, _ := Parse("f.yaml", []byte("server:\n  port: 1\nlist:\n- port: 1\n- port: 2\n  listen: x\n"))
	for path, want := range map[string]int{
		"server": 1, "server.port": 2, "server.listen": 1, "list[1].listen": 6, "list[1].tags": 5, "list[7]": 3, "nothing": 1, "serv": 1, "": 1,
	} {
		if got := Line(root, path); got != want {
			t.Errorf("%s is on line %d, want %d", path, got, want)
		}
	}
	if got := Line(nil, "server"); got != 0 {
		t.Errorf("without a root the line is %d", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "server: {port: 1}", "a: [", "? [a]\n: b", "backup: &b {port: 1}\nserver: {<<: *b}", "hosts: &h {a: *h}",
		"http_config: {tls_config: {min_version: TLS12}}", "list: [null, ~, {}]", "server: !!binary aGk=", "ratio: .nan", "name: !!int x",
		"step: &s [*s]", "http_config: {http_headers: {x: {values: [a]}}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range decodeText(text, new(file)) {
			if p.Text == "" || p.File == "" {
				t.Fatalf("a problem that says nothing: %+v", p)
			}
		}
	})
}

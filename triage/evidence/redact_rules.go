package evidence

// The vendors' token shapes, from gitleaks' default rule set (MIT), which is
// kept up by its project; updating the module updates the rules. Only its rule
// text is used: its detector compiles every rule at once (90 ms, 15 MB of
// heap, 4.7 MB of binary) and reports lines and columns rather than offsets.

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	ahocorasick "github.com/BobuSumisu/aho-corasick"
	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"
)

// leftOut are the rules that this package does better or that do harm here.
var leftOut = [...]string{
	"generic-api-key", // guesses by entropy and mangles request ids; fields do it by name
	"jwt",             // wants a quote or space behind it; see shapes
	"private-key",     // swallows all up to the next KEY-----; see shapes
}

// ruleSet is gitleaks' rules, compiled as they are needed.
type ruleSet struct {
	keywords *ahocorasick.Trie
	words    []keyword // by the trie's pattern number
	rules    []*rule
	allowed  []*allowlist
}

// keyword is a word without which some rules find nothing.
type keyword struct {
	length int
	rules  []int // indexes into ruleSet.rules
}

// rule is one shape of secret.
type rule struct {
	id      string
	group   int     // submatch that is the secret; 0: the first that matched
	entropy float64 // bits per byte that the secret must exceed
	pattern func() *regexp.Regexp
	allowed []*allowlist
}

// allowlist says what a rule finds but is no secret.
type allowlist struct {
	target    string // what regexes look at: "", "match" or "line"
	all       bool   // both a regex and a stop word must apply
	regexes   func() []*regexp.Regexp
	hasRegex  bool
	stopWords []string // lower-case
}

// The part of gitleaks' configuration file that is used.
type (
	rulesFile struct {
		Rules      []ruleEntry      `toml:"rules"`
		Allowlist  *allowlistEntry  `toml:"allowlist"`
		Allowlists []allowlistEntry `toml:"allowlists"`
	}
	ruleEntry struct {
		ID          string           `toml:"id"`
		Path        string           `toml:"path"`
		Regex       string           `toml:"regex"`
		SecretGroup int              `toml:"secretGroup"`
		Entropy     float64          `toml:"entropy"`
		Keywords    []string         `toml:"keywords"`
		Allowlists  []allowlistEntry `toml:"allowlists"`
		SkipReport  bool             `toml:"skipReport"`
	}
	allowlistEntry struct {
		Condition   string   `toml:"condition"`
		Paths       []string `toml:"paths"`
		RegexTarget string   `toml:"regexTarget"`
		Regexes     []string `toml:"regexes"`
		StopWords   []string `toml:"stopwords"`
	}
)

// newRuleSet reads the rule set that is compiled in. It panics when that is
// broken, which a test rules out.
func newRuleSet() *ruleSet {
	set, err := parseRules(config.DefaultConfig)
	if err != nil {
		panic("evidence: the secret rules of gitleaks cannot be used: " + err.Error())
	}
	return set
}

func parseRules(text string) (*ruleSet, error) {
	var file rulesFile
	if err := toml.Unmarshal([]byte(text), &file); err != nil {
		return nil, fmt.Errorf("parse rules: %w", err)
	}
	set := &ruleSet{}
	if file.Allowlist != nil {
		file.Allowlists = append(file.Allowlists, *file.Allowlist)
	}
	set.allowed = newAllowlists(file.Allowlists)
	numbers := make(map[string]int)
	var patterns []string
	for _, e := range file.Rules {
		// A rule bound to a file's path has nothing to say of captured text.
		// One without keywords would cost every text its regexp; there is none
		// today.
		if len(e.Keywords) == 0 || e.Regex == "" || e.Path != "" || e.SkipReport || slices.Contains(leftOut[:], e.ID) {
			continue
		}
		r := &rule{
			id: e.ID, group: e.SecretGroup, entropy: e.Entropy, allowed: newAllowlists(e.Allowlists),
			pattern: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(e.Regex) }),
		}
		set.rules = append(set.rules, r)
		for _, word := range e.Keywords {
			word = strings.ToLower(word)
			n, known := numbers[word]
			if !known {
				n = len(patterns)
				numbers[word] = n
				patterns = append(patterns, word)
				set.words = append(set.words, keyword{length: len(word)})
			}
			set.words[n].rules = append(set.words[n].rules, len(set.rules)-1)
		}
	}
	if len(patterns) == 0 {
		return nil, fmt.Errorf("parse rules: no rule has a keyword")
	}
	set.keywords = ahocorasick.NewTrieBuilder().AddStrings(patterns).Build()
	return set, nil
}

func newAllowlists(entries []allowlistEntry) []*allowlist {
	var lists []*allowlist
	for _, e := range entries {
		all := strings.EqualFold(e.Condition, "and") || e.Condition == "&&"
		if all && len(e.Paths) > 0 {
			continue // captured text has no path, so it never applies
		}
		if len(e.Regexes)+len(e.StopWords) == 0 {
			continue
		}
		list := &allowlist{
			target: e.RegexTarget, all: all, hasRegex: len(e.Regexes) > 0,
			regexes: sync.OnceValue(func() []*regexp.Regexp {
				compiled := make([]*regexp.Regexp, len(e.Regexes))
				for i, text := range e.Regexes {
					compiled[i] = regexp.MustCompile(text)
				}
				return compiled
			}),
		}
		for _, word := range e.StopWords {
			list.stopWords = append(list.stopWords, strings.ToLower(word))
		}
		lists = append(lists, list)
	}
	return lists
}

// A rule's regexp runs only near its keywords: the shapes are local, and
// regexps do a few megabytes a second. Distances in bytes.
const (
	windowBefore = 256
	windowAfter  = 1024
	windowGrowth = 4096 // to where a word that the window would cut ends
)

// window is a part of a text, from start to before end.
type window struct{ start, end int }

// find reports what the rules take for a secret.
func (s *ruleSet) find(text []byte, add func(span)) {
	for n, windows := range s.candidates(text) {
		for _, w := range windows {
			s.apply(s.rules[n], text, w, add)
		}
	}
}

// candidates are the windows in which each rule must look, by the rule's index.
func (s *ruleSet) candidates(text []byte) [][]window {
	var windows [][]window // most texts are short and have none
	s.keywords.Walk(lowerASCII(text), func(end, _, pattern int64) bool {
		word := s.words[pattern]
		if windows == nil {
			windows = make([][]window, len(s.rules))
		}
		// All rules of a word have the windows of all its places.
		if n := len(windows[word.rules[0]]); n > 0 && int(end)+1+windowAfter <= windows[word.rules[0]][n-1].end {
			return true
		}
		w := windowAround(text, int(end)+1-word.length, int(end)+1)
		for _, r := range word.rules {
			if n := len(windows[r]); n > 0 && w.start <= windows[r][n-1].end {
				windows[r][n-1].end = max(windows[r][n-1].end, w.end)
			} else {
				windows[r] = append(windows[r], w)
			}
		}
		return true
	})
	return windows
}

// windowAround is the window around the keyword from start to end. It cuts no
// word, so that a rule does not take a part for the whole.
func windowAround(text []byte, start, end int) window {
	start, end = max(0, start-windowBefore), min(len(text), end+windowAfter)
	for n := 0; start > 0 && n < windowGrowth && !isURLEnd(text[start-1]); n++ {
		start--
	}
	for n := 0; end < len(text) && n < windowGrowth && !isURLEnd(text[end]); n++ {
		end++
	}
	return window{start, end}
}

func (s *ruleSet) apply(r *rule, text []byte, w window, add func(span)) {
	for _, m := range r.pattern().FindAllSubmatchIndex(text[w.start:w.end], -1) {
		for i := range m {
			if m[i] >= 0 {
				m[i] += w.start
			}
		}
		start, end := m[0], m[1]
		if r.group > 0 && 2*r.group+1 < len(m) {
			start, end = m[2*r.group], m[2*r.group+1]
		} else if r.group == 0 {
			for g := 2; g+1 < len(m); g += 2 {
				if m[g] >= 0 && m[g] < m[g+1] {
					start, end = m[g], m[g+1]
					break
				}
			}
		}
		if start < 0 || start >= end {
			continue
		}
		secret := text[start:end]
		if r.entropy > 0 && entropy(secret) <= r.entropy {
			continue
		}
		if isAllowed(s.allowed, text, m, secret) || isAllowed(r.allowed, text, m, secret) {
			continue
		}
		add(span{start: start, end: end, rule: r.id})
	}
}

func isAllowed(lists []*allowlist, text []byte, match []int, secret []byte) bool {
	for _, l := range lists {
		target := secret
		switch l.target {
		case "match":
			target = text[match[0]:match[1]]
		case "line":
			target = lineAround(text, match[0], match[1])
		}
		byRegex := l.hasRegex && slices.ContainsFunc(l.regexes(), func(re *regexp.Regexp) bool { return re.Match(target) })
		byWord := len(l.stopWords) > 0 && containsAny(secret, l.stopWords)
		switch {
		case !l.all && (byRegex || byWord):
			return true
		case l.all && (byRegex || !l.hasRegex) && (byWord || len(l.stopWords) == 0):
			return true
		}
	}
	return false
}

func containsAny(b []byte, words []string) bool {
	lower := strings.ToLower(string(b))
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(lower, w) })
}

func lineAround(text []byte, start, end int) []byte {
	for start > 0 && text[start-1] != '\n' {
		start--
	}
	for end < len(text) && text[end] != '\n' {
		end++
	}
	return text[start:end]
}

// entropy is the Shannon entropy of b in bits per byte.
func entropy(b []byte) float64 {
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	var bits float64
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(b))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// lowerASCII is text in lower case, byte for byte, so that offsets stay.
func lowerASCII(text []byte) []byte {
	lower := slices.Clone(text)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return lower
}

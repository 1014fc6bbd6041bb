package inbound

// Commands as people type them in Slack, made plain: Slack escapes three
// characters, wraps what it takes for links, and keyboards turn quotes.

import (
	"regexp"
	"strings"
)

// wrapped are links: <https://host/path|host/path>, <mailto:a@b|a@b>.
var wrapped = regexp.MustCompile(`<((?:https?://|mailto:|tel:)[^<>|]*)(?:\|([^<>]*))?>`)

// plainer undoes what Slack escapes, which is exactly these three, and what
// keyboards do to quotes and blanks.
var plainer = strings.NewReplacer(
	"&lt;", "<", "&gt;", ">", "&amp;", "&",
	"“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'",
	"\u00a0", " ", "\n", " ", "\r", " ", "\t", " ",
)

// commandText is the text of a command, on one line, without Slack's markup.
// Mentions stay as Slack writes them.
func commandText(s string) string {
	s = wrapped.ReplaceAllStringFunc(s, func(link string) string {
		parts := wrapped.FindStringSubmatch(link)
		if parts[2] != "" {
			return parts[2]
		}
		return parts[1]
	})
	return strings.TrimSpace(plainer.Replace(strings.ToValidUTF8(s, "\uFFFD")))
}

var anyMention = regexp.MustCompile(`<@[UW][A-Z0-9]+(?:\|[^<>]*)?>`)

// mentionText is the command of a message that mentions the bot: what follows
// the mention. A message that begins with neither triage nor maintenance means
// triage. bot is the bot's user id, "" where it is not known: then the first
// mention counts.
func mentionText(s, bot string) string {
	rest := s
	for _, at := range anyMention.FindAllStringIndex(s, -1) {
		id, _, _ := strings.Cut(strings.Trim(s[at[0]:at[1]], "<@>"), "|")
		if bot == "" || id == bot {
			rest = s[at[1]:]
			break
		}
	}
	rest = strings.TrimLeft(commandText(rest), " ,:")
	word, _, _ := strings.Cut(rest, " ")
	switch word = strings.TrimPrefix(word, "/"); {
	case rest == "":
		return "triage help"
	case strings.EqualFold(word, "triage"), strings.EqualFold(word, "maintenance"):
		return strings.TrimPrefix(rest, "/")
	}
	return "triage " + rest
}

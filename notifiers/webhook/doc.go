// Package webhook is the generic outgoing webhook: it tells an HTTP endpoint
// what a channel would show, one POST per message or edit.
//
// The request
//
//	POST <url>
//	Content-Type: application/json
//	User-Agent: triagebot
//	Idempotency-Key: 6f1c…e2-3
//
// has a [Message] as its body. Its version is "1" and stays so while fields
// are only added; a receiver must ignore fields that it does not know.
//
// A message is identified by its nonce. Its first POST has revision 1 or more,
// and an edit is another POST with the same nonce and a higher revision, whose
// post replaces the former one; a lower revision that comes late is out of
// date. Replies name the nonce of the parent message in thread; an escalation
// stands on its own and names none.
//
// A POST whose end is not known (a timeout, a broken connection, a crash here)
// is simply made again, for nothing can be looked up at a receiver. The same
// Idempotency-Key (nonce and revision) is the same message with the same post:
// a receiver that has seen it answers 2xx and does nothing.
//
// Answers: any 2xx is success. 5xx is tried again with backoff, 429 after its
// Retry-After. Any other status is final: that message is given up, which is
// counted and said in the incident's timeline. A redirect is followed when it
// keeps the POST (307, 308); one that would turn it into a GET is final.
//
// docs/webhook.md says the same to whoever writes a receiver.
//
// Text is cut where a message would be too long. Of a file only the artifact's
// link is sent, never its bytes.
package webhook

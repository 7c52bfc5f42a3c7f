#include "args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meant.h"

enum { WORDS_MAX = 4 };

const struct args_flag args_flags[FLAGS] = {
	[FLAG_NONE] = {"", NULL, false, NULL},
	[FLAG_MAP] = {"--map", "FILE", false, "the column map"},
	[FLAG_FORMAT] = {"--format", "csv|jsonl", false,
	    "the input's format; else the map's, else by its name, else CSV"},
	[FLAG_RESUME] = {"--resume", "FILE", false,
	    "keep the progress in FILE; when it is there, go on from it"},
	[FLAG_EMAIL] = {"--email", "VALUE|-", false, "by email; - reads it from standard input"},
	[FLAG_PHONE] = {"--phone", "VALUE|-", false, "by phone number; - likewise"},
	[FLAG_ACCOUNT] = {"--account", "VALUE|-", false, "by account id; - likewise"},
	[FLAG_INPUT] = {"--input", "FILE|-", false, "JSON with the data; - is standard input"},
	[FLAG_MASK] = {"--mask", "FIELD[,FIELD]", true,
	    "replace these fields, and clear those that the input lacks"},
	[FLAG_ETAG] = {"--etag", "ETAG", false, "only if nothing has changed since this etag"},
	[FLAG_CATEGORY] = {"--category", "CATEGORY", true, "of this category; to erase several, repeat it"},
	[FLAG_SUBJECT] = {"--subject", "SUBJECT", false, "whose it is; of a rotation, that one alone"},
	[FLAG_CONTEXT] = {"--context", "TEXT", false, "what it is for, up to 256 bytes; the blob tells it"},
	[FLAG_YES] = {"--yes", NULL, false, "do not ask"},
	[FLAG_LIMIT] = {"--limit", "N", false, "at most N transactions"},
	[FLAG_PAGE_TOKEN] = {"--page-token", "TOKEN", false, "go on after an earlier --limit"},
	[FLAG_HEAD] = {"--head", "HEX", false, "the hash of an entry that must be in it"},
	[FLAG_SIGNING_KEY] = {"--signing-key", "HEX", false, "of the vault whose it must be"},
	[FLAG_SINCE] = {"--since", "DIR", true, "an earlier backup, the oldest first; may be repeated"},
	[FLAG_RATE] = {"--rate", "N", false,
	    "at most so many a second: MiB of a backup, subjects or pages of a rotation"},
	[FLAG_LIFETIME] = {"--lifetime", "TIME", false, "until it expires: 7d (the default), 12h"},
	[FLAG_OUTSTANDING] = {"--outstanding", NULL, false, "only those that still open somebody"},
	[FLAG_OUT] = {"--out", "FILE", false, "a new file, mode 0600, instead of standard output"},
	[FLAG_SPLIT] = {"--split", "K/N", false, "N files FILE.1 to FILE.N, any K of which suffice"},
	[FLAG_SHARE] = {"--share", "FILE", true, "a further share; may be repeated"},
	[FLAG_CONFIG] = {"--config", "FILE", false, "the configuration of the server"},
	[FLAG_KEYS] = {"--keys", "DIR", false, "a backup of keys"},
	[FLAG_RECOVERY] = {"--recovery", "FILE[,FILE]", false, "the recovery secret, or its shares"},
	[FLAG_LEDGER] = {"--ledger", "FILE", false, "a copy of the ledger of erasures"},
	[FLAG_PLACE] = {"--place", "DIR", false, "a folder with room, where it is done"},
	[FLAG_NOTE] = {"--note", NULL, false, "tell the vault that it was done"},
	[FLAG_OLDER_THAN] = {"--older-than", "TIME", false, "only keys that are older: 90d, 12h"},
	[FLAG_SEAL] = {"--seal", "NAME", false, "that one alone"},
	[FLAG_RETIRE] = {"--retire", NULL, false, "content, usage: the version before goes, and what it wraps"},
	[FLAG_DETACH] = {"--detach", NULL, false, "do not wait until it is done"},
	[FLAG_SECRET] = {"--secret", "FILE|-", false,
	    "passphrase or PIN, where the server cannot read it by itself"},
	[FLAG_IDEMPOTENCY_KEY] = {"--idempotency-key", "HEX", false,
	    "32 hexadecimal digits: repeat a call whose outcome is unknown"},
	[FLAG_JSON] = {"--json", NULL, false, "print JSON"},
	[FLAG_SERVER] = {"--server", "URL[,URL]", false, "tls+tcp://HOST:PORT"},
	[FLAG_CA] = {"--ca", "FILE", false, "who signs the server's certificate (PEM)"},
	[FLAG_CERT] = {"--cert", "FILE", false, "your certificate (PEM)"},
	[FLAG_KEY] = {"--key", "FILE", false, "your private key (PEM, mode 0600 or 0400)"},
	[FLAG_CRL] = {"--crl", "FILE", false, "revoked certificates (PEM)"},
	[FLAG_SERVER_SPIFFE] = {"--server-spiffe", "ID", false,
	    "expect this SPIFFE id of the server instead of its host name"},
	[FLAG_TIMEOUT] = {"--timeout", "TIME", false, "for each call: 10, 10s, 500ms, 2m"},
	[FLAG_PURPOSE] = {"--purpose", "TEXT", false, "why you read"},
	[FLAG_HELP] = {"--help", NULL, false, "this text"},
	[FLAG_VERSION] = {"--version", NULL, false, "the version"},
};

/* The words that are no flags, in order. */
struct words {
	const char *list[WORDS_MAX];
	size_t n;
	const char *extra;		/* one too many */
};

bool
args_takes(const struct args_verb *v, enum flag flag)
{
	size_t i;

	if (flag >= FLAG_JSON)
		return true;
	for (i = 0; i < ARGS_VERB_FLAGS && v->flags[i] != FLAG_NONE; i++)
		if (v->flags[i] == flag)
			return true;
	return false;
}

static enum pdv_code
unknown_flag(const struct args_verb *v, const char *word, size_t len, struct failure *f)
{
	char shown[FAILURE_FIELD_LEN], hint[2 * FAILURE_FIELD_LEN];
	struct meant n = MEANT_START(shown);
	enum flag i;

	(void)snprintf(shown, sizeof(shown), "%.*s", (int)(len < 64 ? len : 64), word);
	for (i = FLAG_NONE + 1; i < FLAGS; i++)
		if (v == NULL || args_takes(v, i))
			meant_offer(&n, args_flags[i].name);
	return failure_usage(f, "unknown flag %s%s", shown, meant_hint(&n, hint, sizeof(hint)));
}

static enum flag
find_flag(const char *word, size_t len)
{
	enum flag i;

	for (i = FLAG_NONE + 1; i < FLAGS; i++)
		if (strlen(args_flags[i].name) == len && strncmp(args_flags[i].name, word, len) == 0)
			return i;
	return strncmp(word, "-h", len) == 0 ? FLAG_HELP : FLAG_NONE;
}

static enum pdv_code
store(struct args *a, enum flag flag, const char *value, struct failure *f)
{
	if (args_flags[flag].repeats) {
		if (a->repeated_n == ARGS_REPEAT_MAX)
			return failure_usage(f, "%s: too many", args_flags[flag].name);
		a->repeated[a->repeated_n++] = value;
	} else if (a->values[flag] != NULL && args_flags[flag].value != NULL) {
		return failure_usage(f, "%s is there twice", args_flags[flag].name);
	}
	a->values[flag] = value;
	return PDV_OK;
}

/* Takes one flag, and its value from the next word; ${at} then is the last word used. */
static enum pdv_code
take_flag(struct args *a, const char *const **at, struct failure *f)
{
	const char *word = **at, *equals = strchr(word, '=');
	size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
	enum flag flag = find_flag(word, len);

	if (flag == FLAG_NONE)
		return unknown_flag(a->verb, word, len, f);
	if (args_flags[flag].value == NULL && equals != NULL)
		return failure_usage(f, "%s has no value", args_flags[flag].name);
	if (args_flags[flag].value == NULL)
		return store(a, flag, "", f);
	if (equals == NULL && (*at)[1] == NULL)
		return failure_usage(f, "%s needs a value", args_flags[flag].name);
	return store(a, flag, equals != NULL ? equals + 1 : *++*at, f);
}

static enum pdv_code
split(const char *const *argv, struct args *a, struct words *w, struct failure *f)
{
	const char *const *at;
	bool flags = true;

	for (at = argv; *at != NULL; at++) {
		if (flags && strcmp(*at, "--") == 0) {
			flags = false;
		} else if (flags && (*at)[0] == '-' && (*at)[1] != '\0') {
			if (take_flag(a, &at, f) != PDV_OK)
				return f->code;
		} else if (w->n < WORDS_MAX) {
			w->list[w->n++] = *at;
		} else {
			w->extra = *at;
		}
	}
	return PDV_OK;
}

static enum pdv_code
unknown_noun(const struct args_table *t, const char *word, struct failure *f)
{
	struct meant n = MEANT_START(word);
	char hint[FAILURE_FIELD_LEN];
	size_t i;

	for (i = 0; i < t->n; i++)
		meant_offer(&n, t->verbs[i].noun);
	return failure_usage(f, "unknown command %.64s%s", word,
	    meant_hint(&n, hint, sizeof(hint)));
}

static enum pdv_code
unknown_verb(const struct args_table *t, const char *noun, const char *word, struct failure *f)
{
	struct meant n = MEANT_START(word);
	char hint[FAILURE_FIELD_LEN];
	size_t i;

	for (i = 0; i < t->n; i++)
		if (strcmp(t->verbs[i].noun, noun) == 0)
			meant_offer(&n, t->verbs[i].name);
	return failure_usage(f, "%s cannot %.64s%s", noun, word,
	    meant_hint(&n, hint, sizeof(hint)));
}

static bool
takes_two(const struct args_verb *v)
{
	return v->operand != NULL && strchr(v->operand, ' ') != NULL;
}

/* Noun, verb and operands out of the words. */
static enum pdv_code
find_verb(struct args *a, const struct words *w, struct failure *f)
{
	const struct args_table *t = a->table;
	size_t i, used = 1;

	if (w->n == 0)
		return PDV_OK;
	for (i = 0; i < t->n && a->verb == NULL; i++) {
		if (strcmp(t->verbs[i].noun, w->list[0]) != 0)
			continue;
		a->noun = t->verbs[i].noun;
		if (t->verbs[i].name == NULL) {
			a->verb = &t->verbs[i];
		} else if (w->n > 1 && strcmp(t->verbs[i].name, w->list[1]) == 0) {
			a->verb = &t->verbs[i];
			used = 2;
		}
	}
	if (a->noun == NULL)
		return unknown_noun(t, w->list[0], f);
	if (a->verb == NULL)
		return w->n > 1 ? unknown_verb(t, a->noun, w->list[1], f) : PDV_OK;
	if (w->n > used && a->verb->operand != NULL)
		a->operand = w->list[used++];
	if (w->n > used && takes_two(a->verb))
		a->second = w->list[used++];
	if (w->n > used || w->extra != NULL)
		return failure_usage(f, "too many words after %s%s%s", a->noun,
		    a->verb->name != NULL ? " " : "", a->verb->name != NULL ? a->verb->name : "");
	return PDV_OK;
}

enum pdv_code
args_parse(const struct args_table *table, const char *const *argv, struct args *out,
    struct failure *f)
{
	struct words w = {.n = 0};
	struct failure ignored;
	enum pdv_code rc;
	enum flag i;

	memset(out, 0, sizeof(*out));
	out->table = table;
	if ((rc = split(argv, out, &w, f)) != PDV_OK) {
		(void)find_verb(out, &w, &ignored);	/* for the usage that is shown */
		return rc;
	}
	if ((rc = find_verb(out, &w, f)) != PDV_OK)
		return rc;
	if (out->values[FLAG_HELP] != NULL || out->values[FLAG_VERSION] != NULL)
		return PDV_OK;
	if (out->noun == NULL)
		return failure_usage(f, "a command is missing");
	if (out->verb == NULL)
		return failure_usage(f, "%s: a verb is missing", out->noun);
	for (i = FLAG_NONE + 1; i < FLAGS; i++)
		if (out->values[i] != NULL && !args_takes(out->verb, i))
			return unknown_flag(out->verb, args_flags[i].name,
			    strlen(args_flags[i].name), f);
	if (out->verb->operand != NULL &&
	    (out->operand == NULL || (takes_two(out->verb) && out->second == NULL)))
		return failure_usage(f, "%s is missing", out->verb->operand);
	return PDV_OK;
}

enum pdv_code
args_number(const struct args *a, enum flag flag, unsigned long most, unsigned long *out,
    struct failure *f)
{
	const char *text = a->values[flag];
	unsigned long n;
	char *end;

	if (text == NULL)
		return PDV_OK;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || n < 1 || n > most)
		return failure_usage(f, "%s: a number from 1 to %lu", args_flags[flag].name, most);
	*out = n;
	return PDV_OK;
}

enum pdv_code
args_time(const struct args *a, enum flag flag, uint32_t most, uint32_t *out, struct failure *f)
{
	static const struct {
		char unit;
		unsigned long seconds;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	const char *text = a->values[flag];
	unsigned long n;
	char *end;

	*out = 0;
	if (text == NULL)
		return PDV_OK;
	errno = 0;
	n = strtoul(text, &end, 10);
	for (size_t i = 0; errno == 0 && end != text && i < sizeof(units) / sizeof(units[0]); i++)
		if (end[0] == units[i].unit && end[1] == '\0' && text[0] >= '0' && text[0] <= '9' &&
		    n >= 1 && n <= most / units[i].seconds) {
			*out = (uint32_t)(n * units[i].seconds);
			return PDV_OK;
		}
	return failure_usage(f, "%s: a time with its unit, as 7d, 12h or 30m, at most %lud",
	    args_flags[flag].name, (unsigned long)most / 86400);
}

#include "money.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* ISO 4217, list one, by number of decimals. Funds codes and metals are not amounts. */
static const struct {
	int exponent;
	const char *codes;
} currencies[] = {
	{0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"},
	{2, "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP"
	    " BYN BZD CAD CDF CHF CNY COP CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP"
	    " GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW"
	    " KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN"
	    " NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK"
	    " SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD"
	    " UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ZWL"},
	{3, "BHD IQD JOD KWD LYD OMR TND"},
	{4, "CLF UYW"},
};

enum { CODE_LEN = 3 };

int
money_exponent(const char *currency)
{
	const char *at;
	size_t i;

	if (strlen(currency) != CODE_LEN)
		return -1;
	for (i = 0; i < sizeof(currencies) / sizeof(currencies[0]); i++)
		for (at = currencies[i].codes; *at != '\0'; at += at[CODE_LEN] == ' ' ? 4 : 3)
			if (strncmp(at, currency, CODE_LEN) == 0)
				return currencies[i].exponent;
	return -1;
}

static bool
push(int64_t *total, bool negative, char digit)
{
	int64_t d = digit - '0';

	return !__builtin_mul_overflow(*total, 10, total) &&
	    !__builtin_add_overflow(*total, negative ? -d : d, total);
}

/* A grouping character stands after one to three digits, and three follow it. */
static bool
grouped(const char *text, const char *at, const struct money_style *style)
{
	size_t i;

	if (at == text)
		return false;
	for (i = 1; i <= 3; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	return !isdigit((unsigned char)at[4]) && (at[4] == '\0' || at[4] == style->grouping ||
	    at[4] == style->decimal);
}

const char *
money_read(const char *text, const char *currency, const struct money_style *style,
    int64_t *out)
{
	int exponent = money_exponent(currency), decimals = 0;
	bool negative = *text == '-', groups = false;
	const char *at = text, *first;
	int64_t total = 0;

	if (exponent < 0)
		return "CURRENCY_UNKNOWN";
	if (*at == '-' || *at == '+')
		at++;
	for (first = at; *at != '\0' && *at != style->decimal; at++) {
		if (style->grouping != '\0' && *at == style->grouping) {
			if (!grouped(first, at, style) || (!groups && at - first > 3))
				return "AMOUNT_FORMAT";
			groups = true;
		} else if (!isdigit((unsigned char)*at)) {
			return "AMOUNT_FORMAT";
		} else if (!push(&total, negative, *at)) {
			return "AMOUNT_RANGE";
		}
	}
	if (at == first)
		return "AMOUNT_FORMAT";
	if (*at != '\0' && *++at == '\0')
		return "AMOUNT_FORMAT";
	for (; *at != '\0'; at++) {
		if (!isdigit((unsigned char)*at))
			return "AMOUNT_FORMAT";
		if (++decimals > exponent)
			return "AMOUNT_DIGITS";
		if (!push(&total, negative, *at))
			return "AMOUNT_RANGE";
	}
	for (; decimals < exponent; decimals++)
		if (!push(&total, negative, '0'))
			return "AMOUNT_RANGE";
	*out = total;
	return NULL;
}

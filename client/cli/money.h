/*
 * Decimal amounts as people write them, to an integer in the currency's minor unit
 * (ISO 4217): "1.98" EUR is 198, "300" JPY is 300. Nothing is rounded.
 */
#ifndef CLI_MONEY_H
#define CLI_MONEY_H

#include <stdint.h>


/* How amounts are written; a grouping of 0 means that there is none. */
struct money_style {
	char decimal;
	char grouping;
};

/*
 * money_exponent(currency):
 * Digits of the minor unit of a code in use today, or -1 for one that is none.
 */
int money_exponent(const char *currency);

/*
 * money_read(text, currency, style, out):
 * NULL and ${out} written, or the rule that was broken: CURRENCY_UNKNOWN, AMOUNT_FORMAT,
 * AMOUNT_DIGITS (more decimals than the currency has, even if they are zeros: in a file
 * that groups thousands with the decimal point, 1.000 would lose three digits),
 * AMOUNT_RANGE. A grouping character is accepted only between groups of three.
 */
const char *money_read(const char *text, const char *currency,
    const struct money_style *style, int64_t *out);

#endif /* CLI_MONEY_H */

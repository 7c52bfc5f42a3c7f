#include "server/methods.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/service.h"

#define METHODS_MAX 64u

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct method table[METHODS_MAX];
static unsigned table_count;

static void
add(const struct method *m, unsigned count)
{
	must(table_count + count <= METHODS_MAX);
	memcpy(table + table_count, m, count * sizeof(*m));
	table_count += count;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct method *)a)->name, ((const struct method *)b)->name);
}

static void
build(void)
{
	add(service_subject_methods, service_subject_count);
	add(service_billing_methods, service_billing_count);
	add(service_transaction_methods, service_transaction_count);
	add(service_data_key_methods, service_data_key_count);
	add(service_erasure_methods, service_erasure_count);
	add(service_ledger_methods, service_ledger_count);
	add(service_admin_methods, service_admin_count);
	add(service_backup_methods, service_backup_count);
	add(service_keys_methods, service_keys_count);
	qsort(table, table_count, sizeof(table[0]), by_name);
}

const struct method *
methods_table(unsigned *count)
{
	must(pthread_once(&once, build) == 0);
	*count = table_count;
	return table;
}

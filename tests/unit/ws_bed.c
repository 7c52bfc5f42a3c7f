#include "ws_bed.h"

void
ws_bed_new(struct ws_bed *w)
{
	vault_bed_make(&w->bed, 1u << 28, 1u << 20);
	must(vault_open(&w->bed.options, &w->bed.vault) == STATUS_OK);
	must(overlay_new(w->bed.vault, &w->overlay) == STATUS_OK);
	must(writeset_new(w->bed.vault, w->overlay, &w->ws) == STATUS_OK);
	must(overlay_begin(w->overlay) == STATUS_OK);
	writeset_reset(w->ws);
}

void
ws_bed_free(struct ws_bed *w)
{
	writeset_free(w->ws);
	overlay_end(w->overlay);
	overlay_free(w->overlay);
	vault_bed_free(&w->bed);
}

void
ws_bed_commit(struct ws_bed *w)
{
	bool fatal = false;

	must(writeset_merge(w->ws) == STATUS_OK);
	writeset_reset(w->ws);
	must(batch_commit(w->bed.vault, w->overlay, false, &fatal) == STATUS_OK);
	overlay_end(w->overlay);
	must(overlay_begin(w->overlay) == STATUS_OK);
}

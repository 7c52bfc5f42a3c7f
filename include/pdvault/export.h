/* Marks what the shared library shows; all else in it is hidden. */
#ifndef PDVAULT_EXPORT_H
#define PDVAULT_EXPORT_H

#if defined(__GNUC__)
#define PDV_API __attribute__((visibility("default")))
#define PDV_MUST_USE __attribute__((warn_unused_result))
#else
#define PDV_API
#define PDV_MUST_USE
#endif

#endif /* PDVAULT_EXPORT_H */

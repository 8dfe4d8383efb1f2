"""Self-contained HTML reports: text, tables and inlined SVG plots in one file that opens offline."""

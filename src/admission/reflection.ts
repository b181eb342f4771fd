/** What the certificate library's decorators need. A module of its own: a bundler keeps the order of modules, not that of a CommonJS import. */
import "reflect-metadata";

//! Regular expressions as Ruby (Oniguruma, with its multi-line option for grok) means them.

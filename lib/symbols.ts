/** Node 20 before 20.5.1 has no `Symbol.dispose`; `using` then looks for this one. */
(Symbol as { dispose?: symbol }).dispose ??= Symbol.for('Symbol.dispose');

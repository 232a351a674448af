-- The database of the example: what a trip to each destination costs on top, and in which currency.
CREATE TABLE IF NOT EXISTS destinations (
    code      char(3) PRIMARY KEY,
    currency  char(3) NOT NULL,
    fee_cents integer NOT NULL CHECK (fee_cents >= 0)
);
INSERT INTO destinations VALUES ('MUC', 'EUR', 450), ('LHR', 'GBP', 390), ('JFK', 'USD', 520)
ON CONFLICT (code) DO NOTHING;

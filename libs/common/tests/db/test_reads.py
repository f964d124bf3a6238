"""Which texts pass for reading."""

import pytest
from common.db.reads import is_read


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "select 1",
        "  \n(SELECT 1) UNION (SELECT 2)",
        "/* who asks */ SELECT 1",
        "-- who asks\nSELECT 1",
        "# who asks\nSELECT 1",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "WITH a AS (SELECT REPLACE(name, 'a', 'b') FROM t) SELECT * FROM a",
        "SELECT deleted_at, updated_at FROM t",
        "SHOW CREATE TABLE t",
        "EXPLAIN SELECT 1",
        "PRAGMA table_info(t)",
        "VALUES ROW(1)",
    ],
)
def test_reads_pass(statement):
    assert is_read(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)",
        "insert into t values (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "REPLACE INTO t VALUES (1)",
        "TRUNCATE t",
        "DROP TABLE t",
        "CREATE TABLE t (a int)",
        "ALTER TABLE t ADD b int",
        "LOAD DATA INFILE 'f' INTO TABLE t",
        "CALL p()",
        "SET SESSION autocommit = 0",
        "BEGIN",
        "SAVEPOINT a",
        "/* SELECT */ DELETE FROM t",
        "-- SELECT 1\nDELETE FROM t",
        "(DELETE FROM t)",
        "WITH a AS (SELECT 1) DELETE FROM t",
        "WITH a AS (SELECT 1)\nINSERT INTO t SELECT * FROM a",
        "WITH a AS (SELECT 1) UPDATE t SET b = 1",
        "WITH a AS (SELECT 1) REPLACE INTO t SELECT * FROM a",
        "SELECT 1 FROM t FOR UPDATE",
        "SELECT 1 FROM t FOR SHARE SKIP LOCKED",
        "SELECT 1 FROM t LOCK IN SHARE MODE",
        "SELECTED",
        "",
    ],
)
def test_everything_else_is_refused(statement):
    assert not is_read(statement)

// What docs/clients.md says of JDBC, ten connections beside one another:
// java -cp postgresql.jar JdbcClient.java URL
// The test puts the page's own block where PAGE stands. Prints how many server
// processes have served them, once all is as it should be.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.postgresql.util.PGInterval;

public class JdbcClient {
    static final UUID workspace = UUID.fromString("11111111-1111-4111-8111-111111111111");

    interface Binding {
        void bind(PreparedStatement statement) throws SQLException;
    }

    static void store(Connection connection, String user, String accessToken, String refreshToken, Long expiresIn,
            String detailsAsJson) throws SQLException {
        PAGE
    }

    /** The first column of the only row. */
    static <T> T call(Connection connection, Class<T> type, String sql, Binding binding) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            binding.bind(statement);
            try (ResultSet result = statement.executeQuery()) {
                check(result.next(), "no row of " + sql);
                return result.getObject(1, type);
            }
        }
    }

    static void identify(PreparedStatement statement, String user) throws SQLException {
        statement.setObject(1, workspace);
        statement.setString(2, "google");
        statement.setString(3, "user");
        statement.setString(4, user);
    }

    static String access(Connection connection, String user) throws SQLException {
        return call(connection, String.class, "SELECT oauth_access_token(?, ?, ?, ?)", s -> identify(s, user));
    }

    static void check(boolean holds, String what) {
        if (!holds)
            throw new IllegalStateException(what);
    }

    static void equal(Object found, Object wanted) {
        check(wanted == null ? found == null : wanted.equals(found), "found " + found + " instead of " + wanted);
    }

    static SQLException refused(Connection connection, String sql, Binding binding) throws SQLException {
        try {
            call(connection, Object.class, sql, binding);
        } catch (SQLException error) {
            return error;
        }
        throw new IllegalStateException(sql + " was not refused");
    }

    public static void main(String[] arguments) throws Exception {
        List<Connection> connections = new ArrayList<>();
        Set<Integer> servers = new HashSet<>();
        for (int n = 0; n < 10; n++)
            connections.add(DriverManager.getConnection(arguments[0]));
        for (int round = 0; round < 8; round++) { // the driver prepares after five
            for (int n = 0; n < 10; n++) {
                store(connections.get(n), "java-" + n, n + " in " + round, round == 0 ? "its refresh token" : null, 3599L,
                        "{\"account_id\": \"7\"}");
                servers.add(call(connections.get(n), Integer.class, "SELECT pg_backend_pid()", s -> {}));
            }
            for (int n = 0; n < 10; n++)
                read(connections.get(n), "java-" + n, n + " in " + round);
        }
        Connection connection = connections.get(0);
        bindings(connection);
        transactions(connection);
        fresh(connections);
        errors(connection);
        for (Connection one : connections)
            one.close();
        System.out.println(servers.size());
    }

    static void read(Connection connection, String user, String token) throws SQLException {
        try (PreparedStatement get = connection.prepareStatement("SELECT * FROM oauth_get(?, ?, ?, ?)")) {
            identify(get, user);
            try (ResultSet row = get.executeQuery()) {
                check(row.next(), "no row of " + user);
                equal(row.getString("access_token"), token);
                equal(row.getString("refresh_token"), "its refresh token");
                OffsetDateTime expires = row.getObject("expires_at", OffsetDateTime.class);
                check(expires.isAfter(OffsetDateTime.now().plusMinutes(59)), "expires at " + expires);
            }
        }
        equal(call(connection, String.class, "SELECT oauth_access_token(?::uuid, ?, ?::actor_type_enum, ?)", s -> {
            identify(s, user);
            s.setString(1, workspace.toString());
        }), token);
    }

    static void bindings(Connection connection) throws SQLException {
        String user = "java-0", token = access(connection, user), text = "SELECT oauth_access_token(?, ?, ?, ?, %s)";
        for (boolean lives : new boolean[] {true, false}) {
            equal(call(connection, String.class, String.format(text, "?::interval"), s -> {
                identify(s, user);
                s.setString(5, lives ? "2 min" : "2 h");
            }), lives ? token : null);
            equal(call(connection, String.class, String.format(text, "?"), s -> {
                identify(s, user);
                s.setObject(5, new PGInterval(lives ? "2 min" : "2 hours"));
            }), lives ? token : null);
            equal(call(connection, String.class, String.format(text, "make_interval(secs => ?)"), s -> {
                identify(s, user);
                s.setLong(5, lives ? 120 : 7200);
            }), lives ? token : null);
        }
        OffsetDateTime time = OffsetDateTime.now().plusHours(1).truncatedTo(ChronoUnit.MICROS);
        call(connection, UUID.class, "SELECT oauth_store(?, ?, ?, ?, 'with a time', expires_at => ?)", s -> {
            identify(s, user);
            s.setObject(5, time);
        });
        check(call(connection, OffsetDateTime.class, "SELECT expires_at FROM oauth_get(?, ?, ?, ?)",
                s -> identify(s, user)).isEqual(time), "another time");
        // Neither expiry nor refresh token nor details.
        store(connection, user, "with nulls", null, null, null);
        equal(call(connection, OffsetDateTime.class, "SELECT expires_at FROM oauth_get(?, ?, ?, ?)",
                s -> identify(s, user)), null);
        String sql = "SELECT oauth_store(?, ?, ?, ?, 'with nulls', ?, expires_in => ?, details => ?)";
        call(connection, UUID.class, sql, s -> {
            identify(s, user);
            s.setNull(5, Types.NULL);
            s.setNull(6, Types.NULL);
            s.setObject(7, null);
        });
        equal(refused(connection, sql, s -> {
            identify(s, user);
            s.setNull(5, Types.VARCHAR); // right for a token
            s.setNull(6, Types.VARCHAR); // and wrong for a number
            s.setObject(7, null);
        }).getSQLState(), "42883");
        connection.prepareCall("CALL oauth_rotate_keys()").execute();
        try (var rotate = connection.prepareCall("CALL oauth_rotate_keys(?)")) {
            rotate.setInt(1, 10);
            rotate.execute();
        }
    }

    static void transactions(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        store(connection, "java-1", "rolled back", null, null, null);
        equal(access(connection, "java-1"), "rolled back");
        connection.rollback();
        equal(access(connection, "java-1"), "1 in 7");
        store(connection, "java-1", "committed", null, null, null);
        connection.commit();
        connection.setAutoCommit(true);
        equal(access(connection, "java-1"), "committed");
    }

    /** Each waits for the test's sidecar. */
    static void fresh(List<Connection> connections) throws SQLException {
        for (int n = 0; n < 10; n++) {
            String user = "java-fresh-" + n;
            store(connections.get(n), user, "short", "its refresh token", 1L, null);
            String token = call(connections.get(n), String.class,
                    "SELECT oauth_fresh_access_token(?, ?, ?, ?, ?::interval, timeout => ?::interval)", s -> {
                        identify(s, user);
                        s.setString(5, "2 min");
                        s.setString(6, "20 s");
                    });
            check(token.startsWith("fresh "), "not refreshed: " + token);
            equal(access(connections.get(n), user), token);
        }
    }

    static void errors(Connection connection) throws SQLException {
        SQLException error = refused(connection, "SELECT oauth_store(?, ?, ?, ?, ?)", s -> {
            identify(s, "java-2");
            s.setString(3, "robot");
            s.setString(5, "sentinel");
        });
        equal(error.getSQLState(), "22023");
        check(!error.toString().contains("sentinel"), error.toString());
    }
}
